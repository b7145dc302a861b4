package media

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/weir-media/weir/fastpath"
	"github.com/weir-media/weir/srtp"
)

// number gives every field of a value that is a number one of its own. Times are of late, seconds apart.
func number(t *testing.T, v reflect.Value, n *int) {
	t.Helper()
	*n++
	switch p := v.Addr().Interface().(type) {
	case *time.Time:
		*p = time.Now().Add(-time.Duration(*n) * time.Second).UTC()
		return
	case *time.Duration:
		*p = time.Duration(time.Now().Add(-time.Duration(*n) * time.Second).UnixNano())
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(*n % 200))
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(int64(*n % 100))
	case reflect.Struct:
		for i := range v.NumField() {
			number(t, v.Field(i), n)
		}
	case reflect.Array:
		for i := range v.Len() {
			number(t, v.Index(i), n)
		}
	default:
		t.Fatalf("a state has no %s", v.Type())
	}
}

func TestAStateHoldsEveryCount(t *testing.T) {
	r := newRig(t, nil)
	n := 0
	var want LegState
	for _, f := range []string{"In", "Out", "OutKernel", "Learning", "Stray", "Lost", "Handshakes", "Failed", "Last", "Withdrawn", "Live", "RoundTrip"} {
		number(t, reflect.ValueOf(&want).Elem().FieldByName(f), &n)
	}
	want.Drops = make(map[string]uint64)
	for d := range dropCount {
		want.Drops[Drop(d).String()] = uint64(d) + 1
	}
	want.Peer = &PeerState{Epoch: 7, Source: newPhone(t, loopback4).addr(), At: time.Now().UTC()}
	want.Allowed = append(want.Allowed, want.Peer.Source)
	ssrc := uint32(99)
	want.SSRC = &ssrc
	suite := srtp.SuiteByName("AES_CM_128_HMAC_SHA1_80")
	params := func(b byte) *srtp.Params {
		key, salt := make([]byte, suite.KeyLen()), make([]byte, suite.SaltLen())
		key[0] = b
		return &srtp.Params{Suite: suite, Key: key, Salt: salt}
	}
	want.Cipher = &CipherState{
		In: params(1), Out: params(2), Received: []srtp.State{{SSRC: 1, Started: true, Seq: 2, ROC: 3, NextRTCP: 4}},
		Sent: []srtp.State{{SSRC: 5, Started: true, Seq: 6, ROC: 7, NextRTCP: 8}},
	}
	var stream StreamState
	number(t, reflect.ValueOf(&stream).Elem(), &n)
	stream.SSRC = ssrc
	st := PairState{Local: pickLocal(t, r), RTP: want, Streams: []StreamState{stream}}
	text, err := json.Marshal(st)
	if err != nil {
		t.Fatal(err)
	}
	st = PairState{}
	if err := json.Unmarshal(text, &st); err != nil {
		t.Fatal(err)
	}
	leg, rtcp, err := r.Reopen(&st, "")
	if err != nil {
		t.Fatal(err)
	}
	got := r.States([]*Leg{leg, rtcp})[0]
	// Of a flow that is not in the kernel yet the counts are still those before.
	got.RTP.Live = leg.kernel.former
	got.RTP.Live = r.wallCounters(got.RTP.Live)
	want.Cipher.Sent[0].NextRTCP += forRTCP
	compare(t, "leg", reflect.ValueOf(got.RTP), reflect.ValueOf(want))
	compare(t, "stream", reflect.ValueOf(got.Streams[0]), reflect.ValueOf(stream))
	if kernel := leg.Stats().Kernel; kernel.Lost != want.Withdrawn.Lost+want.Live.Lost {
		t.Errorf("%d lost in the kernel, want %d", kernel.Lost, want.Withdrawn.Lost+want.Live.Lost)
	}
}

// pickLocal returns a pair that is free.
func pickLocal(t *testing.T, r *rig) (local netip.AddrPort) {
	t.Helper()
	leg, rtcp := r.pair(4, "")
	local = leg.Local()
	leg.Close()
	rtcp.Close()
	r.until("the pair is free", func() bool { return r.leg(local) == nil && r.Pools()[0].Used == 0 })
	return local
}

// compare names the fields that differ. Times may differ by what translating them between clocks costs.
func compare(t *testing.T, name string, got, want reflect.Value) {
	t.Helper()
	near := func(a, b time.Duration) bool { return (a - b).Abs() <= time.Second/2 }
	switch w := want.Interface().(type) {
	case time.Time:
		if g := got.Interface().(time.Time); !near(g.Sub(w), 0) {
			t.Errorf("%s: got %v, want %v", name, g, w)
		}
		return
	case time.Duration:
		if g := got.Interface().(time.Duration); !near(g, w) {
			t.Errorf("%s: got %v, want %v", name, g, w)
		}
		return
	}
	if want.Kind() == reflect.Struct && want.Type().PkgPath() != "net/netip" {
		for i := range want.NumField() {
			compare(t, name+"."+want.Type().Field(i).Name, got.Field(i), want.Field(i))
		}
		return
	}
	if (want.Kind() == reflect.Slice || want.Kind() == reflect.Array) && got.Len() == want.Len() {
		for i := range want.Len() {
			compare(t, fmt.Sprintf("%s[%d]", name, i), got.Index(i), want.Index(i))
		}
		return
	}
	if want.Kind() == reflect.Pointer && !want.IsNil() && !got.IsNil() {
		compare(t, name, got.Elem(), want.Elem())
		return
	}
	if !reflect.DeepEqual(got.Interface(), want.Interface()) {
		t.Errorf("%s: got %v, want %v", name, got, want)
	}
}

// TestNoCountOfALegIsForgotten fails when a count is added to legs or streams that their states do not know.
func TestNoCountOfALegIsForgotten(t *testing.T) {
	for _, c := range []struct {
		of     reflect.Type
		fields int
	}{
		{reflect.TypeFor[counters](), 10},
		{reflect.TypeFor[kernelCount](), 4},
		{reflect.TypeFor[fastpath.SourceCounters](), 13},
	} {
		if n := c.of.NumField(); n != c.fields {
			t.Errorf("%v has %d fields, not %d: see to it that a state has the new ones (state.go), and mend the number", c.of, n, c.fields)
		}
	}
}
