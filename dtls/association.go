package dtls

import (
	"errors"
	"fmt"

	"github.com/pion/dtls/v3/pkg/protocol"
	"github.com/pion/dtls/v3/pkg/protocol/alert"
	"github.com/pion/dtls/v3/pkg/protocol/recordlayer"
)

// ErrClosed says that the peer has closed the association in an orderly way.
var ErrClosed = errors.New("dtls: peer closed the association")

// AlertError is a fatal alert from the peer, by its number in the IANA registry of TLS alerts.
type AlertError uint8

func (e AlertError) Error() string {
	return fmt.Sprintf("dtls: peer sent alert %d (%s)", uint8(e), alert.Description(e))
}

// An association is what remains of a handshake that succeeded. It needs neither goroutine nor timer, because only the
// client retransmits after the last flight, and that is for the server to answer (RFC 6347, section 4.2.4).
type association struct {
	secrets
	// next is the number of the next record to be sent, seen that of the next one not yet received.
	next, seen uint64
	// flight is the server's last one. The very same datagrams are sent again: the peer asks because it has not got them.
	flight [][]byte
	// peer is the peer's certificate in DER form.
	peer []byte
}

// news is what a datagram means for an association. At most one of the fields is set.
type news struct {
	// send is to be sent to the peer.
	send [][]byte
	// ended says why the association has ended.
	ended error
}

// handle takes a datagram. Only what is protected with the association's keys, and is not a replay, has any effect.
func (a *association) handle(datagram []byte) news {
	var keys recordCipher
	for r, rest, ok := nextRecord(datagram); ok; r, rest, ok = nextRecord(rest) {
		if r.epoch != 1 || r.seq < a.seen || r.kind != alertRecord && r.kind != handshakeRecord {
			continue
		}
		if keys == nil {
			var err error
			if keys, err = a.cipher(); err != nil {
				return news{}
			}
		}
		// Opened in place.
		plain, err := keys.Decrypt(recordlayer.Header{}, append([]byte(nil), r.raw...))
		if err != nil || len(plain) < recordHeaderSize {
			continue
		}
		a.seen = r.seq + 1
		if r.kind == handshakeRecord {
			// The Finished message again, which ends the client's flight.
			if !a.client {
				return news{send: a.flight}
			}
			continue
		}
		if body := plain[recordHeaderSize:]; len(body) == 2 {
			switch level, description := alert.Level(body[0]), alert.Description(body[1]); {
			case description == alert.CloseNotify:
				return news{ended: ErrClosed}
			case level == alert.Fatal:
				return news{ended: AlertError(description)}
			}
		}
	}
	return news{}
}

// alert makes the datagram of an alert.
func (a *association) alert(level alert.Level, description alert.Description) ([]byte, error) {
	keys, err := a.cipher()
	if err != nil {
		return nil, err
	}
	r := &recordlayer.RecordLayer{
		Header:  recordlayer.Header{Version: protocol.Version1_2, Epoch: 1, SequenceNumber: a.next},
		Content: &alert.Alert{Level: level, Description: description},
	}
	a.next++
	raw, err := r.Marshal()
	if err != nil {
		return nil, fmt.Errorf("alert: %w", err)
	}
	return keys.Encrypt(r, raw)
}
