export * from "./tcp-transport.js";
