/** The other half of the seeds of power.test.ts, in a process of its own. */
import { test } from "vitest";
import { runShare } from "./power.js";

test("more clusters lose their power, and nothing else", { timeout: 1_200_000 }, () => runShare(1));
