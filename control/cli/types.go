package cli

import "time"

// Status is the daemon as a whole.
type Status struct {
	Version       string    `json:"version"`
	PID           int       `json:"pid"`
	Started       time.Time `json:"started"`
	UptimeSeconds int64     `json:"uptime_seconds"`
	Goroutines    int       `json:"goroutines"`

	Engines []Engine      `json:"engines"`
	IO      UserspaceIO   `json:"userspace_io"`
	SRTP    SRTP          `json:"srtp"`
	Calls   CallCounts    `json:"calls"`
	Packets PacketCounts  `json:"packets"`
	Flows   FlowCounts    `json:"flows"`
	NotFast []ReasonCount `json:"not_in_kernel"` // why RTP legs are in userspace now, most frequent first
	Drops   []ReasonCount `json:"drops"`         // packets userspace dropped
	Kernel  []ReasonCount `json:"kernel_exits"`  // packets by the way they left the kernel programs
	Ports   []Pool        `json:"ports"`
	NG      NGCounts      `json:"ng"`
	Drain   Drain         `json:"drain"`
	Life    Life          `json:"life"`
	Stores  []Store       `json:"stores,omitempty"`
}

// Store is a place where calls are kept for other processes or nodes.
type Store struct {
	Name       string  `json:"name"` // file or redis
	Kept       int     `json:"kept"`
	Pending    int     `json:"pending"`           // changes that are not there yet
	LagSeconds float64 `json:"lag_seconds"`       // for how long the oldest of them has been waiting
	Trouble    string  `json:"trouble,omitempty"` // why nothing is written now
}

// Life is what happens to calls when the daemon dies.
type Life struct {
	Outlook string `json:"outlook"` // in words
	Pins    string `json:"pins"`    // where the kernel plane outlives the daemon; empty when it does not
	Kept    int    `json:"kept"`    // calls that the next daemon would find
	Pending int    `json:"pending"` // changes of calls that are not written yet
}

// Engine is the fast path of one network device.
type Engine struct {
	Interface string   `json:"interface"`
	Addresses []string `json:"addresses"`
	Engine    string   `json:"engine"` // xdp, tc, xdp-generic or none
	Reason    string   `json:"reason"`
}

// UserspaceIO is how the userspace plane receives and sends.
type UserspaceIO struct {
	Engine string `json:"engine"` // shared or sockets
	Reason string `json:"reason"`
}

// SRTP says where SRTP is encrypted and decrypted.
type SRTP struct {
	Kernel bool   `json:"kernel"` // for the suites that the kernel can do
	Reason string `json:"reason"` // which these are, or why it does none
}

// CallCounts counts calls; all but Live since the start.
type CallCounts struct {
	Live     uint64            `json:"live"`
	Foreign  uint64            `json:"foreign"` // of those: other nodes'
	Created  uint64            `json:"created"`
	Ended    uint64            `json:"ended"`
	TimedOut uint64            `json:"timed_out"`
	Rejected uint64            `json:"rejected"`
	Faults   uint64            `json:"faults"` // of the daemon, while ending one
	EndedBy  map[string]uint64 `json:"ended_by"`

	ByLanguage map[string]LanguageCounts `json:"by_language"` // that they were made in
}

// LanguageCounts counts the calls of one control language.
type LanguageCounts struct {
	Live    uint64 `json:"live"`
	Created uint64 `json:"created"`
}

// PacketCounts counts relayed packets by plane.
type PacketCounts struct {
	Kernel    uint64 `json:"kernel"`
	Userspace uint64 `json:"userspace"`
	Dropped   uint64 `json:"dropped"`
}

// FlowCounts counts the RTP legs that live now by plane.
type FlowCounts struct {
	Kernel    int `json:"kernel"`
	Userspace int `json:"userspace"`
}

// ReasonCount is how often something happened for a reason.
type ReasonCount struct {
	Reason string `json:"reason"`
	Count  uint64 `json:"count"`
}

// Pool is the port pool of one local address, in pairs of ports.
type Pool struct {
	Address string `json:"address"`
	Free    int    `json:"free"`
	Used    int    `json:"used"`
	Resting int    `json:"resting"`
}

// NGCounts counts ng requests since the start.
type NGCounts struct {
	Requests uint64 `json:"requests"`
	Failed   uint64 `json:"failed"`
	Faults   uint64 `json:"faults"` // failed by a fault of the daemon
}

// Calls is a list of calls.
type Calls struct {
	Calls []Call `json:"calls"`
	Total int    `json:"total"` // that live now, also those the limit left out
}

// Call is one call with all its legs.
type Call struct {
	CallID      string    `json:"call_id"`
	Language    string    `json:"language"` // it was made in: ng, rtpproxy or mediaproxy
	State       string    `json:"state"`
	Created     time.Time `json:"created"`
	AgeSeconds  int64     `json:"age_seconds"`
	EndsSeconds int64     `json:"ends_in_seconds"` // if nothing else happens
	EndsBy      string    `json:"ends_by"`
	Legs        []Leg     `json:"legs"`
}

// Leg is one local port and the party behind it.
type Leg struct {
	Party     string `json:"party"`
	Media     string `json:"media"` // audio, video, …
	Index     int    `json:"index"` // of the m= section, from 1
	Codec     string `json:"codec,omitempty"`
	Component string `json:"component"` // RTP or RTCP
	Local     string `json:"local"`
	Signalled string `json:"signalled,omitempty"`   // by the party's SDP
	Source    string `json:"source,omitempty"`      // learnt from its packets
	Dest      string `json:"destination,omitempty"` // where packets for it go

	Plane string `json:"plane"`         // kernel or userspace
	Why   string `json:"why,omitempty"` // not in the kernel

	Packets         uint64 `json:"packets"` // received from the party, both planes
	Bytes           uint64 `json:"bytes"`
	KernelPackets   uint64 `json:"kernel_packets"`
	UserPackets     uint64 `json:"user_packets"`
	LearningPackets uint64 `json:"learning_packets"` // before both ends of the flow were learnt
	PacketsOut      uint64 `json:"packets_out"`      // sent to the party, both planes
	Lost            uint64 `json:"lost"`             // gaps in the sequence numbers received
	Refused         uint64 `json:"refused"`          // from sources that are not the party
	Errors          uint64 `json:"errors"`
	LastPacketMS    int64  `json:"last_packet_ms"` // ago; -1 when none came
}

// Reloaded says what a reload of the configuration has done.
type Reloaded struct {
	Changed []string `json:"changed"`       // options whose new values have taken effect
	Restart []string `json:"after_restart"` // options whose new values wait for the next start
}

// Drain is how far a drain is.
type Drain struct {
	Draining        bool  `json:"draining"` // new calls are refused
	Ending          bool  `json:"ending"`   // the daemon ends when no call is left
	PingsRefused    bool  `json:"pings_refused"`
	Remaining       int   `json:"remaining_calls"`  // that nobody has asked the end of; 0 when not draining
	DeadlineSeconds int64 `json:"deadline_seconds"` // until they are ended; -1 for never
}

// Terminated says how many calls were ended.
type Terminated struct {
	Calls int `json:"calls"`
}

// Captured is how a capture went.
type Captured struct {
	CallID        string  `json:"call_id"`
	Packets       uint64  `json:"packets"`        // written
	DroppedQueue  uint64  `json:"dropped_queue"`  // not written, as the file or who reads it was too slow
	DroppedKernel uint64  `json:"dropped_kernel"` // relayed in the kernel without a copy
	Seconds       float64 `json:"seconds"`
	Ended         string  `json:"ended"` // why
}
