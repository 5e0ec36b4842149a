package network

import "testing"

func TestGateClosed(t *testing.T) {
	var g gate
	if g.opens(false) || g.opens(true) || g.busy() {
		t.Fatal("the zero value is open")
	}
	leave, ok := g.enter()
	if !ok || !g.busy() {
		t.Fatal("no room for the first")
	}
	if _, ok := g.enter(); ok {
		t.Error("room for a second before anything is proven")
	}
	leave()
	leave2, ok := g.enter()
	if !ok {
		t.Fatal("no room after the first left")
	}
	leave() // once more, which must not make room
	if _, ok := g.enter(); ok {
		t.Error("a second leave made room")
	}
	leave2()
}

func TestGateStates(t *testing.T) {
	for state, want := range map[gateState]struct{ pipes, terminal, enter, more, challenge, passed bool }{
		gateClosed:     {false, false, true, false, true, false},
		gateOnce:       {false, false, true, false, true, true},
		gateAdmitted:   {true, false, true, true, true, true},
		gateRecognised: {true, true, true, true, false, true},
		gateShut:       {false, false, false, false, false, false},
	} {
		var g gate
		g.become(state)
		if g.passed() != want.passed {
			t.Errorf("state %d: passed %v", state, g.passed())
		}
		if g.opens(false) != want.pipes || g.opens(true) != want.terminal {
			t.Errorf("state %d opens %v, %v", state, g.opens(false), g.opens(true))
		}
		if _, ok := g.enter(); ok != want.enter {
			t.Errorf("state %d: enter %v", state, ok)
		}
		if _, ok := g.enter(); ok != want.more {
			t.Errorf("state %d: a second enters: %v", state, ok)
		}
		done, ok := g.challenge()
		if ok != want.challenge {
			t.Errorf("state %d: challenge %v", state, ok)
		}
		if _, second := g.challenge(); second {
			t.Errorf("state %d: two challenges at a time", state)
		}
		if ok {
			done()
			if _, again := g.challenge(); !again {
				t.Errorf("state %d: no challenge after one is done", state)
			}
		}
		for lower := range state {
			if g.become(lower); g.state != state {
				t.Errorf("state %d became %d", state, lower)
			}
		}
	}
}

func TestGateSettles(t *testing.T) {
	var g gate
	early := g.settled()
	select {
	case <-early:
		t.Fatal("settled before anything was proven")
	default:
	}
	g.become(gateAdmitted)
	<-early
	g.become(gateRecognised)
	<-g.settled()
	var shut gate
	shut.become(gateShut)
	<-shut.settled()
}
