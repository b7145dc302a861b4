// Package call holds the call model: it turns offers and answers into immutable plans and carries them out on the media plane.
//
// A Call (call-id) has Parties (tags), a Party has Medias (one per m= section), a Media has two Components (RTP and RTCP), and
// each component has a Leg of the media plane: the local port that faces the party. Subscriptions tie a media to the
// medias it hears; an ordinary call is two of them.
//
// Every control language translates to the requests of this package (Offer, Answer, Delete, …) and nothing reaches
// around it. A command works on a draft of the call's plan and either commits it as a whole or throws it away, so no call
// is ever half changed. A call's signalling state belongs to whoever holds that call's lock; no lock is held across calls.
package call
