LIBS_zendod := -lnftables $(TS_LIBS)
