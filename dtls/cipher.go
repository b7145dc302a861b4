package dtls

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"

	"github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/crypto/ciphersuite"
	"github.com/pion/dtls/v3/pkg/crypto/prf"
	"github.com/pion/dtls/v3/pkg/protocol/recordlayer"
)

// recordCipher protects and opens records of epoch 1.
type recordCipher interface {
	Encrypt(pkt *recordlayer.RecordLayer, raw []byte) ([]byte, error)
	Decrypt(h recordlayer.Header, in []byte) ([]byte, error)
}

// A suite is a cipher suite that can be negotiated. All use ephemeral keys (ECDHE).
type suite struct {
	id dtls.CipherSuiteID
	// name is OpenSSL's.
	name string
	// The sizes of the parts of the key block (RFC 5246, section 6.3).
	mac, key, iv int
	prf          func() hash.Hash
	make         func(k *prf.EncryptionKeys, client bool) (recordCipher, error)
}

// suites in our order of preference: what every peer of WebRTC has first (RFC 8827, section 6.5), CBC last.
var suites = [...]suite{
	{dtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, "ECDHE-ECDSA-AES128-GCM-SHA256", 0, 16, 4, sha256.New, gcm},
	{dtls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, "ECDHE-RSA-AES128-GCM-SHA256", 0, 16, 4, sha256.New, gcm},
	{dtls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, "ECDHE-ECDSA-AES256-GCM-SHA384", 0, 32, 4, sha512.New384, gcm},
	{dtls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, "ECDHE-RSA-AES256-GCM-SHA384", 0, 32, 4, sha512.New384, gcm},
	{dtls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-ECDSA-CHACHA20-POLY1305", 0, 32, 12, sha256.New, chacha},
	{dtls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-RSA-CHACHA20-POLY1305", 0, 32, 12, sha256.New, chacha},
	{dtls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, "ECDHE-ECDSA-AES256-SHA", 20, 32, 16, sha256.New, cbc},
	{dtls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, "ECDHE-RSA-AES256-SHA", 20, 32, 16, sha256.New, cbc},
}

// directions sorts a key block into what we write with and what we read with.
func directions(k *prf.EncryptionKeys, client bool) (key, iv, mac, peerKey, peerIV, peerMAC []byte) {
	if client {
		return k.ClientWriteKey, k.ClientWriteIV, k.ClientMACKey, k.ServerWriteKey, k.ServerWriteIV, k.ServerMACKey
	}
	return k.ServerWriteKey, k.ServerWriteIV, k.ServerMACKey, k.ClientWriteKey, k.ClientWriteIV, k.ClientMACKey
}

func gcm(k *prf.EncryptionKeys, client bool) (recordCipher, error) {
	key, iv, _, peerKey, peerIV, _ := directions(k, client)
	return ciphersuite.NewGCM(key, iv, peerKey, peerIV)
}

func chacha(k *prf.EncryptionKeys, client bool) (recordCipher, error) {
	key, iv, _, peerKey, peerIV, _ := directions(k, client)
	return ciphersuite.NewChaCha20Poly1305(key, iv, peerKey, peerIV)
}

func cbc(k *prf.EncryptionKeys, client bool) (recordCipher, error) {
	key, iv, mac, peerKey, peerIV, peerMAC := directions(k, client)
	return ciphersuite.NewCBC(key, iv, mac, peerKey, peerIV, peerMAC, sha1.New)
}

// secrets are what the records of an association are protected with.
type secrets struct {
	suite                      *suite
	client                     bool
	master                     [48]byte
	clientRandom, serverRandom [helloRandomSize]byte
}

// cipher derives the keys of records (RFC 5246, section 6.3). It is made when needed: it is several times as large as
// the secrets.
func (s *secrets) cipher() (recordCipher, error) {
	c := s.suite
	keys, err := prf.GenerateEncryptionKeys(s.master[:], s.clientRandom[:], s.serverRandom[:], c.mac, c.key, c.iv, c.prf)
	if err != nil {
		return nil, fmt.Errorf("record keys: %w", err)
	}
	return c.make(keys, s.client)
}

// secretsOf takes the secrets out of a handshake's state, and the number of the next record that the peer has not used
// yet. The state's exported form is the only public way to them.
func secretsOf(state *dtls.State, read *states) (s secrets, seen uint64, err error) {
	encoded, err := state.MarshalBinary()
	if err != nil {
		return secrets{}, 0, fmt.Errorf("export the state: %w", err)
	}
	exported, err := read.read(encoded)
	if err != nil {
		return secrets{}, 0, fmt.Errorf("read the exported state: %w", err)
	}
	s = secrets{client: exported.IsClient, clientRandom: exported.RemoteRandom, serverRandom: exported.LocalRandom}
	if s.client {
		s.clientRandom, s.serverRandom = s.serverRandom, s.clientRandom
	}
	if copy(s.master[:], exported.MasterSecret) != len(s.master) {
		return secrets{}, 0, fmt.Errorf("master secret of %d bytes", len(exported.MasterSecret))
	}
	for i := range suites {
		if uint16(suites[i].id) == exported.CipherSuiteID {
			s.suite = &suites[i]
			return s, exported.RemoteSequenceNumber, nil
		}
	}
	return secrets{}, 0, fmt.Errorf("unknown cipher suite %#04x", exported.CipherSuiteID)
}
