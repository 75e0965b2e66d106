# What a person types; CMake does the work. `make help` lists it all.

PRESET      ?= dev
JOBS        ?= $(shell nproc)
prefix      ?= /usr/local
FUZZ_SECONDS ?= 60

build := $(if $(filter dev,$(PRESET)),build,build-$(PRESET))
guest := $(build)/share/microagent/guest
ninja := ninja -C $(build) -j $(JOBS)

.PHONY: all setup configure guest test demo bench bench-net bench-tls bench-swap bench-boot fuzz docs lint install deb test-deb clean help

all: configure                ## build the programs into build/bin
	@$(ninja) programs

help:
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 18

setup:                        ## install the Debian packages that are missing
	@tools/setup

# Ninja configures again by itself whenever a CMakeLists.txt has changed.
configure: setup
	@test -f $(build)/build.ninja || cmake --preset $(PRESET)

guest: configure              ## fetch the guest's kernel and make its base image
	@$(ninja) microagent-init
	@tools/guest-image --init $(build)/bin/microagent-init $(guest)

test: configure guest         ## build everything and run every test
	@tools/testpmd $(build)/dpdk
	@$(ninja)
	@ctest --test-dir $(build) --output-on-failure --parallel 2 $(CTEST_FLAGS)

demo: setup                   ## watch a workspace boot, reach out and serve a page
	@tools/demo

bench: configure guest        ## measure, side by side with QEMU's own network
	@$(ninja)
	@bench/run

bench-net: configure guest    ## measure netd on a tap, side by side with the kernel, pasta and slirp4netns
	@tools/setup nftables passt slirp4netns iperf3
	@$(ninja) programs netpipe netecho
	@MICROAGENT_BUILD=$(build) bench/net.py
	@MICROAGENT_BUILD=$(build) bench/net_guest.py

bench-tls: configure          ## measure TLS interception, side by side with HAProxy, nginx and mitmproxy
	@tools/setup haproxy nginx-light mitmproxy wrk nghttp2-client
	@$(ninja) tls_front
	@MICROAGENT_BUILD=$(build) bench/tls.py

bench-swap: configure         ## measure what a credential swap costs an intercepted request
	@tools/setup nginx-light wrk nghttp2-client
	@$(ninja) tls_front
	@MICROAGENT_BUILD=$(build) bench/swap.py

bench-boot: configure guest   ## measure a boot, side by side with Debian's own initramfs
	@$(ninja) programs
	@MICROAGENT_BUILD=$(build) bench/boot.py

fuzz: setup                   ## run each fuzz target for FUZZ_SECONDS
	@tools/fuzz --seconds $(FUZZ_SECONDS)

docs: all                     ## write docs/cli.md anew from the program's own help
	@tools/cli-reference $(build)/bin/microagent

lint: configure               ## check layers, style and format
	@tools/setup clang-format-16
	@tools/check-layers
	@tools/check-style
	@tools/check-format

install: all guest            ## install under prefix, /usr/local by default
	@$(ninja) manual
	@DESTDIR=$(DESTDIR) cmake --install $(build) --prefix $(prefix)

deb: all guest                ## make a Debian package in build/
	@tools/setup dpkg-dev
	@$(ninja) manual
	@tools/make-deb $(build)

test-deb: deb                 ## install that package into a fresh Debian root, and run a guest there
	@tools/setup mmdebstrap
	@sudo=$$([ "$$(id -u)" = 0 ] || echo sudo); $$sudo tools/test-deb "$$(tools/make-deb --name $(build))"

clean:                        ## remove what was built
	@rm -rf build build-*/
