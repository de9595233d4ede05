import { defaultServerConditions } from "vite";
import { defineConfig } from "vitest/config";
import { CountReporter } from "./scripts/count-reporter.ts";

// `@quorate/raft` and `quorate` resolve to their TypeScript sources, by the condition that their `exports` name first,
// so that a test never runs against a stale build.
const conditions = ["quorate-source", ...defaultServerConditions];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ["packages/*/test/**/*.test.ts", "examples/**/*.test.ts", "bench/**/*.test.ts"],
    exclude: ["**/node_modules/**", "**/dist/**"],
    server: { deps: { inline: [/^@quorate\//, /^quorate(\/|$)/, /\/packages\/(raft|quorate)\/src\//] } },
    pool: "forks",
    maxWorkers: 2,
    retry: 0,
    // Not a wish but a guard: a test that hangs ends here.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    teardownTimeout: 30_000,
    allowOnly: false,
    passWithNoTests: false,
    reporters: ["default", new CountReporter()],
  },
});
