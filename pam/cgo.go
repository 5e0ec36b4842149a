package pam

// #cgo CFLAGS: -std=c99
// #cgo LDFLAGS: -lpam
// #include <stdlib.h>
// #include "options.h"
// #include "packet.h"
import "C"

import (
	"time"
	"unsafe"
)

// hello is struct ksd_hello.
type hello struct {
	user, service, source string
	silent                bool
	term                  string
}

// reply is struct ksd_reply, its kind and code in words. The zero value is a
// malformed packet.
type reply struct {
	kind    string // "text", "mode", "verdict" or "" for a malformed packet
	code    string // of a verdict
	mode    string // of a mode
	isError bool   // of a text
	text    string // of a text
}

// options is struct ksd_options.
type options struct {
	socket                                           string
	timeout                                          time.Duration
	ignoreUnenrolled, ignoreUnavailable, ignoreNoTTY bool
	debug                                            bool
}

// encodeHello calls ksd_encode_hello; nil is a refusal.
func encodeHello(h hello) []byte {
	words := cStrings([]string{h.user, h.service, h.source, h.term})
	defer words.free()
	c := C.struct_ksd_hello{user: words[0], service: words[1], source: words[2], silent: C.bool(h.silent), term: words[3]}
	out := (*C.char)(C.malloc(C.KSD_MAX_PACKET))
	defer C.free(unsafe.Pointer(out))
	n := C.ksd_encode_hello(&c, out)
	if n == 0 {
		return nil
	}
	return C.GoBytes(unsafe.Pointer(out), C.int(n))
}

// decodeReply calls ksd_decode_reply on a copy that ends where p ends.
func decodeReply(p []byte) reply {
	packet := C.CBytes(p)
	defer C.free(packet)
	r := C.ksd_decode_reply((*C.char)(packet), C.size_t(len(p)))
	switch r.kind {
	case C.KSD_TEXT:
		return reply{kind: "text", isError: bool(r.is_error), text: C.GoString(r.text)}
	case C.KSD_MODE:
		return reply{kind: "mode", mode: C.GoString(C.ksd_mode_word(r.mode))}
	case C.KSD_VERDICT:
		return reply{kind: "verdict", code: C.GoString(C.ksd_code_word(r.code))}
	}
	return reply{}
}

// parseOptions calls ksd_parse_options; bad is the word it refused, and ok
// whether it refused none.
func parseOptions(words []string) (o options, bad string, ok bool) {
	argv := cStrings(words)
	defer argv.free()
	var c C.struct_ksd_options
	refused := C.ksd_parse_options(C.int(len(argv)), unsafe.SliceData(argv), &c)
	if c.socket != nil {
		o.socket = C.GoString(c.socket)
	}
	o.timeout = time.Duration(c.timeout) * time.Second
	o.ignoreUnenrolled = bool(c.ignore_unenrolled)
	o.ignoreUnavailable = bool(c.ignore_unavailable)
	o.ignoreNoTTY = bool(c.ignore_no_tty)
	o.debug = bool(c.debug)
	return o, C.GoString(refused), refused == nil
}

type cWords []*C.char

func cStrings(words []string) cWords {
	out := make(cWords, len(words))
	for i, w := range words {
		out[i] = C.CString(w)
	}
	return out
}

func (w cWords) free() {
	for _, p := range w {
		C.free(unsafe.Pointer(p))
	}
}
