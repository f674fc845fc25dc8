LIBS_relocd := -lgnutls $(TS_LIBS)
