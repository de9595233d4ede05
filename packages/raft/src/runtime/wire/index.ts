/** The wire between peers: frames (frame.ts), the handshake (handshake.ts), and what is said after it (payload.ts). */
export {
  decodePayload,
  encodeAddress,
  encodeAppliedBlock,
  encodeFoundingNotice,
  encodeMessage,
  encodeNotAMember,
  encodePeerLog,
  isSpoken,
  type Payload,
  type PeerLog,
} from "./payload.js";
