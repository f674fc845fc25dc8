LIBS_xenconsoled := -lxencall -lxenforeignmemory -lxenevtchn -lxengnttab -lxenstore -lxentoollog -lxentoolcore
