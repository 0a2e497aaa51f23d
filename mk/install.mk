# make install: DESTDIR and PREFIX as everywhere.

INSTALL ?= install

.PHONY: install
install: all
	$(INSTALL) -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/include \
	    $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/share/man/man1 \
	    $(DESTDIR)$(PREFIX)/share/man/man5
	$(INSTALL) -m 755 $(BUILD)/voxconv $(DESTDIR)$(PREFIX)/bin/voxconv
	$(INSTALL) -m 644 $(BUILD)/libvoxconv.a $(DESTDIR)$(PREFIX)/lib/libvoxconv.a
	$(INSTALL) -m 644 include/voxconv.h $(DESTDIR)$(PREFIX)/include/voxconv.h
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' -e 's|@LIBS@|$(LIBS)|' \
	    mk/voxconv.pc.in > $(BUILD)/voxconv.pc
	$(INSTALL) -m 644 $(BUILD)/voxconv.pc $(DESTDIR)$(PREFIX)/lib/pkgconfig/voxconv.pc
	$(INSTALL) -m 644 $(wildcard man/*.1) $(DESTDIR)$(PREFIX)/share/man/man1
	$(INSTALL) -m 644 $(wildcard man/*.5) $(DESTDIR)$(PREFIX)/share/man/man5
