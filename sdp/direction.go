package sdp

// Direction says which way media flows, as seen by the sender of the description. The zero value means not given,
// which RFC 8866 section 6.7 reads as sendrecv.
type Direction uint8

// The four directions. The two lowest bits are "sends" and "receives", the third marks a given value.
const (
	Inactive Direction = 4 + iota
	SendOnly
	RecvOnly
	SendRecv
)

// ParseDirection returns the direction of an attribute name, zero when it is none.
func ParseDirection(name string) Direction {
	switch name {
	case "sendrecv":
		return SendRecv
	case "sendonly":
		return SendOnly
	case "recvonly":
		return RecvOnly
	case "inactive":
		return Inactive
	}
	return 0
}

// String returns the attribute name, empty when no direction was given.
func (d Direction) String() string {
	switch d {
	case SendRecv:
		return "sendrecv"
	case SendOnly:
		return "sendonly"
	case RecvOnly:
		return "recvonly"
	case Inactive:
		return "inactive"
	}
	return ""
}

// Given reports whether a direction was stated at all.
func (d Direction) Given() bool { return d != 0 }

// Sends reports whether the describing party will send.
func (d Direction) Sends() bool { return d == 0 || d&1 != 0 }

// Receives reports whether the describing party is willing to receive.
func (d Direction) Receives() bool { return d == 0 || d&2 != 0 }

// Reverse returns the same flow as seen by the other party.
func (d Direction) Reverse() Direction {
	switch d {
	case SendOnly:
		return RecvOnly
	case RecvOnly:
		return SendOnly
	}
	return d
}

// MakeDirection returns the direction of a party that sends and receives as told.
func MakeDirection(sends, receives bool) Direction {
	d := Inactive
	if sends {
		d |= 1
	}
	if receives {
		d |= 2
	}
	return d
}
