package monitor

// Thread hands work to one thread: that which calls Run.
type Thread struct{ work chan func() }

// NewThread returns a Thread that nobody runs yet.
func NewThread() Thread { return Thread{make(chan func())} }

// Do has f run, and returns when it has. It must not be called by what it runs.
func (t Thread) Do(f func()) {
	done := make(chan struct{})
	t.work <- func() {
		defer close(done)
		f()
	}
	<-done
}

// Run runs what is handed over until done is closed. The caller has locked its
// thread.
func (t Thread) Run(done <-chan struct{}) {
	for {
		select {
		case f := <-t.work:
			f()
		case <-done:
			return
		}
	}
}
