/** Where things are in the repository, seen from this program's folder. */
import { fileURLToPath } from "node:url";

/** This file runs from program/dist, and is looked at by a test in program/. */
const root = new URL(import.meta.url.includes("/program/dist/") ? "../../../../../../" : "../../../../../", import.meta.url);

export const ROOT: string = fileURLToPath(root);

/** The package whose sources are edited, seen from the root. */
export const PACKAGE = "packages/raft";
