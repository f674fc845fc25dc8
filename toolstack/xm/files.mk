# The man page of xm comes from its table of commands.
$(B)/man/xm.1: $(B)/bin/xm
	@mkdir -p $(@D)
	$(B)/bin/xm help --man > $@
.PHONY: man
man: $(B)/man/xm.1
