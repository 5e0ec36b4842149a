package network

import (
	"time"

	"ksd/internal/channel"
	"ksd/internal/keystroke"
)

// tickMS is the tick of an OpenSSH client, in ms.
const tickMS = int(channel.TickInterval / time.Millisecond)

// chaffRate is how many packets a second show that a client hides keys among
// others: it then sends one each tick, fifty a second, while a fast typist at a
// terminal that tells releases sends half of that.
const chaffRate = 35

// ticked says whether a typing came in ticks: the client's program does so, and
// either the times show it or the number of packets that came in meanwhile. The
// times are lost on a rough line, the packets are not.
func ticked(client string, s keystroke.Sample, packets uint64, took time.Duration) bool {
	return channel.MayTick(client) && (channel.Ticked(s) || took > time.Second && float64(packets) > chaffRate*took.Seconds())
}
