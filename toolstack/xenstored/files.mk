LIBS_xenstored := -lxencall -lxenforeignmemory -lxenevtchn -lxengnttab -lxentoollog -lxentoolcore
