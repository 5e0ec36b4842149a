# make           builds everything into bin/
# make try       try ksd at this terminal: nothing is installed, no root is needed
# make test      all tests, with the race detector; as root also su, sudo, login and sshd
# make install   for packagers: the variables below, and DESTDIR
#
# make e2e check fuzz bench bench-capture bench-peers population uninstall clean: see docs/HACKING.md

PREFIX     ?= /usr/local
BINDIR     ?= $(PREFIX)/bin
SBINDIR    ?= $(PREFIX)/sbin
SYSCONFDIR ?= /etc
UNITDIR    ?= /lib/systemd/system
SYSUSERDIR ?= /usr/lib/sysusers.d
DOCDIR     ?= $(PREFIX)/share/doc/ksd
PAMDIR     ?= $(shell sh pam/moduledir.sh)
DESTDIR    ?=
GO         ?= go
CC         ?= cc
VERSION    ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
DATA       ?= ../shared/data

TOOL     = $(GO) tool -modfile=tools/go.mod
PROGRAMS = ksdd ksd-enroll ksd-login ksdctl ksd-try
LDFLAGS  = -s -w -X main.version=$(VERSION)

.PHONY: all build module try test e2e check fuzz bench bench-capture bench-peers population install uninstall clean $(PROGRAMS) ksd-sshd

all: build

build: $(PROGRAMS) ksd-sshd module

# ksd-sshd asks PAM, so it needs its headers, as the module does.
$(PROGRAMS) ksd-sshd:
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/$@ ./cmd/$@

# The gate is one static file, so that nothing is loaded into it.
ksd-login: export CGO_ENABLED = 0

module:
	@mkdir -p bin
	CC='$(CC)' sh pam/build.sh bin/pam_ksd.so

# The trial needs no PAM module, so it needs no PAM headers either.
try: $(PROGRAMS)
	@bin/ksd-try -bin bin -data $(DATA)/greyc-dev.tsv.gz

test:
	@sh tools/test.sh

e2e: build
	$(GO) test -count=1 -v -timeout 20m ./e2e

check:
	@test -z "$$($(TOOL) gofumpt -l .)" || { echo 'run "$(TOOL) gofumpt -w ." on:'; $(TOOL) gofumpt -l .; exit 1; }
	$(GO) vet ./...
	$(TOOL) staticcheck ./...

fuzz:
	sh tools/fuzz.sh

bench:
	$(GO) test -run '^$$' -bench . ./internal/... ./daemon

# The table of docs/CAPTURE.md: as root, alone on the machine, in an hour.
# CAPTURE='plain/0$$' takes only rows of that name.
CAPTURE ?= .
bench-capture: build
	$(GO) test -run '^$$' -bench CaptureTimes -benchtime 1x -timeout 4h -v ./e2e -capture '$(CAPTURE)' -capture-quiet 30

bench-peers:
	@GO='$(GO)' sh tools/peers/run.sh

population: ksdctl
	bin/ksdctl population $(DATA)/klicke-train.tsv.gz internal/feature/population.tsv --note \
	"$$(printf 'How people type: times by key pair, over 3,200 people.\nSource: KLiCKe corpus, The Learning Agency Lab, CC BY 4.0.\nMade by "make population"; the format is described at ReadPopulation.')"

install: build
	install -d '$(DESTDIR)$(BINDIR)' '$(DESTDIR)$(SBINDIR)' '$(DESTDIR)$(PAMDIR)' '$(DESTDIR)$(UNITDIR)' '$(DESTDIR)$(SYSUSERDIR)' '$(DESTDIR)$(SYSCONFDIR)/ksd' '$(DESTDIR)$(DOCDIR)/pam.d' '$(DESTDIR)$(DOCDIR)/sshd_config.d'
	install -m 0755 bin/ksd-enroll bin/ksd-login '$(DESTDIR)$(BINDIR)/'
	install -m 0755 bin/ksdd bin/ksdctl bin/ksd-sshd '$(DESTDIR)$(SBINDIR)/'
	install -m 0644 bin/pam_ksd.so '$(DESTDIR)$(PAMDIR)/'
	sed 's|/usr/sbin/|$(SBINDIR)/|' conf/systemd/ksdd.service > '$(DESTDIR)$(UNITDIR)/ksdd.service'
	sed 's|/usr/sbin/|$(SBINDIR)/|' conf/systemd/ksd-sshd.service > '$(DESTDIR)$(UNITDIR)/ksd-sshd.service'
	install -m 0644 conf/systemd/*.socket '$(DESTDIR)$(UNITDIR)/'
	install -m 0644 conf/sysusers.d/ksd.conf '$(DESTDIR)$(SYSUSERDIR)/'
	test -e '$(DESTDIR)$(SYSCONFDIR)/ksd/ksd.toml' || install -m 0644 conf/ksd.toml '$(DESTDIR)$(SYSCONFDIR)/ksd/'
	install -m 0644 conf/pam.d/* '$(DESTDIR)$(DOCDIR)/pam.d/'
	install -d '$(DESTDIR)$(SYSCONFDIR)/pam.d'
	test -e '$(DESTDIR)$(SYSCONFDIR)/pam.d/ksd-sshd' || install -m 0644 conf/pam.d/ksd-sshd '$(DESTDIR)$(SYSCONFDIR)/pam.d/'
	sed 's|/usr/local/bin/|$(BINDIR)/|' conf/sshd_config.d/ksd.conf > '$(DESTDIR)$(DOCDIR)/sshd_config.d/ksd.conf'
	install -m 0644 README.md LICENSE docs/*.md '$(DESTDIR)$(DOCDIR)/'
	@test -n '$(DESTDIR)' || sh tools/installed.sh '$(SBINDIR)'

# What people enrolled stays: /var/lib/ksd and $(SYSCONFDIR)/ksd are yours.
uninstall:
	@grep -rls pam_ksd.so '$(DESTDIR)$(SYSCONFDIR)/pam.d' && { echo 'these PAM files still name pam_ksd.so: take it out of them first, or nobody gets in'; exit 1; } || true
	@grep -n '/ksd-login' '$(DESTDIR)$(SYSCONFDIR)/passwd' && { echo 'ksd-login is the login shell of these accounts: give them another first (usermod -s), or they cannot log in'; exit 1; } || true
	rm -f '$(DESTDIR)$(BINDIR)/ksd-enroll' '$(DESTDIR)$(BINDIR)/ksd-login' '$(DESTDIR)$(SBINDIR)/ksdd' '$(DESTDIR)$(SBINDIR)/ksdctl' '$(DESTDIR)$(SBINDIR)/ksd-sshd' '$(DESTDIR)$(PAMDIR)/pam_ksd.so'
	rm -f '$(DESTDIR)$(UNITDIR)/ksdd.service' '$(DESTDIR)$(UNITDIR)/ksdd.socket' '$(DESTDIR)$(UNITDIR)/ksdd-login.socket' '$(DESTDIR)$(UNITDIR)/ksd-sshd.service' '$(DESTDIR)$(UNITDIR)/ksd-sshd.socket' '$(DESTDIR)$(SYSUSERDIR)/ksd.conf'
	rm -rf '$(DESTDIR)$(DOCDIR)'

clean:
	rm -rf bin
