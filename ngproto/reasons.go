package ngproto

// The error-reason texts of ng replies. Clients compare them, so they never change; the number is the row of the
// compatibility table.
const (
	ReasonNoPayload       = "Invalid data (no payload)"                    // ERR-001
	ReasonBadFormat       = "Invalid NG data format"                       // ERR-002
	ReasonBadBencode      = "Could not decode bencode dictionary"          // ERR-003
	ReasonBadJSON         = "Failed to parse JSON document"                // ERR-004
	ReasonNotJSONObject   = "Could not decode JSON dictionary"             // ERR-005
	ReasonNoCommand       = `Dictionary contains no key "command"`         // ERR-006
	ReasonUnknownCommand  = "Unrecognized command"                         // ERR-007
	ReasonNoHandler       = "No command handler"                           // ERR-008
	ReasonSessionLimit    = "Parallel session limit reached"               // ERR-009
	ReasonCPULimit        = "CPU usage limit exceeded"                     // ERR-010
	ReasonLoadLimit       = "Load limit exceeded"                          // ERR-011
	ReasonBandwidthLimit  = "Bandwidth limit exceeded"                     // ERR-012
	ReasonNoSDP           = "No SDP body in message"                       // ERR-013
	ReasonNoCallID        = "No call-id in message"                        // ERR-014
	ReasonNoFromTag       = "No from-tag in message"                       // ERR-015
	ReasonNoToTag         = "No to-tag in message"                         // ERR-016
	ReasonUnknownCall     = "Unknown call-id"                              // ERR-017: answer, query, recording
	ReasonUnknownCallID   = "Unknown call-ID"                              // ERR-018: media manipulation, subscriptions
	ReasonUnknownCallIDs  = "Unknown call-ID(s)"                           // ERR-019: subscribe request, connect, inject
	ReasonUnknownCreated  = "unknown call-ID"                              // ERR-020: create answer
	ReasonUnknownMesh     = "Unknown call ID(s)"                           // ERR-021: mesh
	ReasonBadSDP          = "Failed to parse SDP"                          // ERR-022
	ReasonIncompleteSDP   = "Incomplete SDP specification"                 // ERR-023
	ReasonBadDialogue     = "Invalid dialogue association"                 // ERR-024
	ReasonRewriteSDP      = "Error rewriting SDP"                          // ERR-025
	ReasonNoPorts         = "Ran out of ports"                             // ERR-026
	ReasonDeleteNotFound  = "Call-ID not found or tags didn't match"       // ERR-027
	ReasonBadLimit        = "invalid limit, must be >= 0"                  // ERR-028
	ReasonNoLabel         = "No monologue matching the given label"        // ERR-029
	ReasonBadAddress      = "Failed to parse network address"              // ERR-030
	ReasonNoAddressMatch  = "Failed to match address to any tag"           // ERR-031
	ReasonNoSuchFromTag   = "From-tag given, but no such tag exists"       // ERR-032
	ReasonNoMedias        = "No medias found (no monologues matched)"      // ERR-033
	ReasonNoParty         = "No participant party specified"               // ERR-034
	ReasonNoFlowToTag     = "Media flow not found (to-tag not found)"      // ERR-035
	ReasonNoFlowToLabel   = "Media flow not found (to-label not found)"    // ERR-036
	ReasonNoFlow          = "Media flow not found (to-tag not subscribed)" // ERR-037
	ReasonNoSubscriptions = "No eligible media subscriptions found"        // ERR-038
	ReasonUnsupported     = "unsupported"                                  // ERR-039
	ReasonNotImplemented  = "Not implemented"                              // ERR-040

	ReasonNoMediaFile  = "No media file specified"                      // ERR-041
	ReasonPlayFile     = "Failed to start media playback from file"     // ERR-042
	ReasonPlayBlob     = "Failed to start media playback from blob"     // ERR-043
	ReasonPlayDatabase = "Failed to start media playback from database" // ERR-044
	ReasonNotPlaying   = "Not currently playing media"                  // ERR-045
	ReasonMOHOngoing   = "Currently MoH ongoing, ignore stop media."    // ERR-046

	ReasonDTMFCode         = "Out of range 'code' specified"                    // ERR-047
	ReasonDTMFNoMedia      = "Monologue has no media capable of DTMF injection" // ERR-048
	ReasonDTMFNoSink       = "There is no sink media capable of DTMF playback"  // ERR-049
	ReasonDTMFNoOutputSSRC = "No output SSRC context present"                   // ERR-050
	ReasonDTMFNoRTP        = "Media doesn't have an RTP stream"                 // ERR-051
	ReasonDTMFNoSSRC       = "No SSRC context present for DTMF injection"       // ERR-052
	ReasonDTMFNoPT         = "No RTP payload type found to be in use"           // ERR-053
	ReasonDTMFNoHandler    = "No matching codec handler"                        // ERR-054
	ReasonDTMFNoSSRCHandle = "No matching codec SSRC handler"                   // ERR-055

	ReasonCreateSDP        = "Failed to create SDP"                               // ERR-056: publish, subscribe request
	ReasonSubscribe        = "Failed to request subscription"                     // ERR-057
	ReasonToTagNotFound    = "To-tag not found"                                   // ERR-058
	ReasonSubscribeAnswer  = "Failed to process subscription answer"              // ERR-059
	ReasonFromTagNotFound  = "From-tag not found"                                 // ERR-060: unsubscribe
	ReasonUnsubscribe      = "Failed to unsubscribe"                              // ERR-061
	ReasonNoSourceTag      = "No source-tag in message"                           // ERR-062
	ReasonSourceTagUnknown = "Source-tag not found"                               // ERR-063
	ReasonInjectSelf       = "Trying to inject to self"                           // ERR-064
	ReasonInjectStart      = "Failed to start inject"                             // ERR-065
	ReasonInjectStop       = "Failed to stop inject"                              // ERR-066
	ReasonMergeInject      = "Failed to merge two calls into one"                 // ERR-067: inject
	ReasonMergeConnect     = "Failed to merge two calls into one (tag collision)" // ERR-068: connect
	ReasonMergeMesh        = "Failed to merge calls (tag collision)"              // ERR-069: mesh
	ReasonMeshFromTag      = "Given from-tag not found"                           // ERR-070
	ReasonMeshToTag        = "Given to-tag not found"                             // ERR-071
	ReasonMeshNoFromTag    = "Empty/missing from-tag"                             // ERR-072
	ReasonTransformLoop    = "Transform loop detected"                            // ERR-073
	ReasonTransform        = "Failed to set up transform"                         // ERR-074
	ReasonCreate           = "failed to set up call/monologue"                    // ERR-075
	ReasonCreateNoSDP      = "failed to create SDP"                               // ERR-076: create
	ReasonCreateFromTag    = "from-tag not found"                                 // ERR-077: create answer
	ReasonCreateAnswer     = "failed to perform answer"                           // ERR-078
	ReasonNoBody           = "No 'body' in message"                               // ERR-079

	ReasonWrongType    = "wrong type used"                              // ERR-080
	ReasonSDPSection   = "unsupported sdp section"                      // ERR-081
	ReasonWrongContent = "wrong content given"                          // ERR-082
	ReasonManipulation = "unknown manipulation command"                 // ERR-083
	ReasonInvalidToken = "invalid token given"                          // ERR-084
	ReasonDestNoFamily = "Destination address without family specified" // ERR-085
	ReasonDestAddress  = "Failed to parse destination address"          // ERR-086
)
