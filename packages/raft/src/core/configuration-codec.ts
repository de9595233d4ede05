/** Placeholder until the codec lands. */
import type { Configuration } from "./configuration.js";
const enc = (s: string) => Uint8Array.from(s, (c) => c.charCodeAt(0));
export function encodeConfiguration(configuration: Configuration): Uint8Array { return enc(JSON.stringify(configuration)); }
export function decodeConfiguration(bytes: Uint8Array): Configuration | null {
  try { return JSON.parse(String.fromCharCode(...bytes)) as Configuration; } catch { return null; }
}
