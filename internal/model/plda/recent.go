package plda

import (
	"container/list"
	"sync"
)

// recent keeps what was last worked out, or used, within a number of bytes. It
// is safe for concurrent use.
type recent[K comparable, V any] struct {
	mu    sync.Mutex
	room  int        // bytes
	taken int        // bytes
	order *list.List // of kept, the last used first
	at    map[K]*list.Element
}

type kept[K comparable, V any] struct {
	key   K
	value V
	bytes int
}

func newRecent[K comparable, V any](room int) *recent[K, V] {
	return &recent[K, V]{room: room, order: list.New(), at: map[K]*list.Element{}}
}

// get returns what is kept under a key.
func (r *recent[K, V]) get(key K) (value V, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.at[key]
	if e == nil {
		return value, false
	}
	r.order.MoveToFront(e)
	return e.Value.(*kept[K, V]).value, true
}

// put keeps a value of so many bytes, and forgets what was not used for longest
// until there is room.
func (r *recent[K, V]) put(key K, value V, bytes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.at[key]; e != nil {
		r.forget(e)
	}
	r.at[key] = r.order.PushFront(&kept[K, V]{key, value, bytes})
	r.taken += bytes
	for r.taken > r.room {
		r.forget(r.order.Back())
	}
}

func (r *recent[K, V]) forget(e *list.Element) {
	k := r.order.Remove(e).(*kept[K, V])
	delete(r.at, k.key)
	r.taken -= k.bytes
}
