export * from "./clock.js";
export * from "./disk.js";
export * from "./file-place.js";
export * from "./random.js";
export { parseAddress } from "./tcp-address.js";
export * from "./tcp-transport.js";
