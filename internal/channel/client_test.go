package channel

import "testing"

func TestMayTick(t *testing.T) {
	for version, want := range map[string]bool{
		"":                           false,
		"OpenSSH":                    false,
		"OpenSSH_":                   false,
		"OpenSSH_9":                  false,
		"OpenSSH_9.":                 false,
		"OpenSSH_.5":                 false,
		"OpenSSH_x.y":                false,
		"OpenSSH_-9.9":               false,
		"OpenSSH_+9.9":               false,
		"openssh_9.9":                false,
		" OpenSSH_9.9":               false,
		"OpenSSH_99999999999999.9":   false,
		"OpenSSH_9.99999999999999":   false,
		"NotOpenSSH_9.9":             false,
		"dropbear_2022.83":           false,
		"libssh_0.10.6":              false,
		"PuTTY_Release_0.81":         false,
		"OpenSSH_7.4":                false,
		"OpenSSH_9.2p1 Debian-2":     false,
		"OpenSSH_9.4p1":              false,
		"OpenSSH_for_Windows_8.1":    false,
		"OpenSSH_9.5":                true,
		"OpenSSH_9.5p1":              true,
		"OpenSSH_9.9p1 Debian-3":     true,
		"OpenSSH_9.10":               true,
		"OpenSSH_10.0p2":             true,
		"SSH-2.0-OpenSSH_9.6":        true,
		"OpenSSH_for_Windows_9.5":    true,
		"SSH-2.0-OpenSSH_9.2":        false,
		"SSH-2.0-SSH-2.0-OpenSSH_10": false,
	} {
		if got := MayTick(version); got != want {
			t.Errorf("%q: %v, want %v", version, got, want)
		}
	}
}

func FuzzMayTick(f *testing.F) {
	f.Add("OpenSSH_9.5p1")
	f.Fuzz(func(t *testing.T, version string) {
		if MayTick(version) && MayTick("x"+version) {
			t.Errorf("%q ticks whatever stands before it", version)
		}
	})
}
