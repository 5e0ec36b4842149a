package monitor

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"strings"
	"time"
)

// restriction is what a line of authorized_keys takes from whoever comes with
// its key (sshd(8), AUTHORIZED_KEYS FILE FORMAT). The zero value takes nothing.
type restriction struct {
	command      string // in the place of what is asked for
	forced       bool   // whether command counts
	noPty        bool
	noForwarding bool
	noAgent      bool
}

// errOption is the fact that a line's options keep its key out.
var errOption = errors.New("an option keeps the key out")

// restrictionOf reads the options of a line. from is where the client is. An
// option that is not known here could be one that restricts, so it keeps the key
// out. The error wraps errOption.
func restrictionOf(options []string, from netip.Addr, now time.Time) (r restriction, err error) {
	seen := map[string]bool{}
	for _, o := range options {
		name, value, hasValue := strings.Cut(o, "=")
		name = strings.ToLower(name)
		if hasValue {
			if value, err = unquote(value); err != nil {
				return restriction{}, fmt.Errorf("%w: %s=: %w", errOption, name, err)
			}
		}
		if hasValue != takesValue[name] || seen[name] && hasValue && name != "environment" {
			return restriction{}, fmt.Errorf("%w: %q", errOption, name)
		}
		seen[name] = true
		switch {
		case r.flag(name):
		case name == "command":
			r.command, r.forced = value, true
		case name == "from" && !patterns(value):
			return restriction{}, fmt.Errorf("%w: from=%q holds what is no address", errOption, value)
		case name == "from" && !matches(value, from):
			return restriction{}, fmt.Errorf("%w: from= does not name %v", errOption, from)
		case name == "expiry-time":
			if err := expired(value, now); err != nil {
				return restriction{}, fmt.Errorf("%w: %w", errOption, err)
			}
		case name == "from", name == "environment": // environment= is never honoured
		default:
			return restriction{}, fmt.Errorf("%w: %q", errOption, name)
		}
	}
	return r, nil
}

// takesValue are the options that are known and have a value.
var takesValue = map[string]bool{"command": true, "from": true, "expiry-time": true, "environment": true}

// flag sets what an option without a value says, and reports whether it is one.
func (r *restriction) flag(name string) bool {
	switch name {
	case "restrict":
		r.noPty, r.noForwarding, r.noAgent = true, true, true
	case "no-pty", "pty":
		r.noPty = name == "no-pty"
	case "no-port-forwarding", "port-forwarding":
		r.noForwarding = name == "no-port-forwarding"
	case "no-agent-forwarding", "agent-forwarding":
		r.noAgent = name == "no-agent-forwarding"
	case "no-x11-forwarding", "x11-forwarding", "no-user-rc", "user-rc": // never done here
	default:
		return false
	}
	return true
}

// unquote takes the quotes off a value; inside, \" is a quote.
func unquote(s string) (string, error) {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return "", errors.New("the value is not in quotes")
	}
	return strings.ReplaceAll(s[1:len(s)-1], `\"`, `"`), nil
}

// patterns reports whether all of a list can match an address. One that cannot
// keeps nobody out with a "!" before it.
func patterns(list string) bool {
	for p := range strings.SplitSeq(list, ",") {
		p := strings.TrimPrefix(strings.TrimSpace(p), "!")
		_, err := netip.ParsePrefix(p)
		if err != nil && (p == "" || strings.Trim(p, "0123456789abcdefABCDEF.:*?") != "") {
			return false
		}
	}
	return true
}

// matches holds an address against a list of patterns: addresses with * and ?,
// CIDR blocks, and either with a "!" before it, which keeps out whatever else is
// listed. Names of hosts never match: who answers for them is not asked (UseDNS
// no).
func matches(list string, from netip.Addr) bool {
	from = from.Unmap()
	matched := false
	for p := range strings.SplitSeq(list, ",") {
		p, not := strings.CutPrefix(strings.TrimSpace(p), "!")
		is := false
		if block, err := netip.ParsePrefix(p); err == nil {
			is = block.Contains(from)
		} else if !strings.ContainsAny(p, `[]\`) {
			is, _ = path.Match(p, from.String())
		}
		if is && not {
			return false
		}
		matched = matched || is
	}
	return matched
}

// expired reads YYYYMMDD[HHMM[SS]][Z], local time without the Z, and says
// whether that is over.
func expired(value string, now time.Time) error {
	digits, utc := strings.CutSuffix(value, "Z")
	zone := now.Location()
	if utc {
		zone = time.UTC
	}
	for _, layout := range []string{"20060102", "200601021504", "20060102150405"} {
		if len(digits) != len(layout) {
			continue
		}
		end, err := time.ParseInLocation(layout, digits, zone)
		if err == nil && now.Before(end) {
			return nil
		}
		if err == nil {
			return fmt.Errorf("it expired at %s", value)
		}
	}
	return fmt.Errorf("expiry-time=%q is not a time", value)
}
