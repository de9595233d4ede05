/**
 * The closing line of a test run, alone on its line and last: `N passed, N failed`, with `, N skipped` if any. It counts
 * what really ran. A test file that could not be loaded and an error outside of any test count as one failure each, so
 * that "0 failed" is never printed over a broken run.
 */
import type { Reporter, TestModule, TestRunEndReason } from "vitest/node";

export class CountReporter implements Reporter {
  #line: string | null = null;
  #onExit = false;

  onInit(vitest: { readonly config: { readonly watch: boolean } }): void {
    if (vitest.config.watch || this.#onExit) return;
    this.#onExit = true;
    // On exit, because the other reporters still print after the run has ended.
    process.once("exit", () => {
      process.stdout.write(`${this.#line ?? "0 passed, 1 failed"}\n`);
    });
  }

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[], reason: TestRunEndReason): void {
    let passed = 0;
    let failed = unhandledErrors.length;
    let skipped = 0;
    for (const module of modules) {
      // Errors of the file itself: it could not be loaded, or a hook outside of any test threw.
      failed += module.errors().length;
      for (const suite of module.children.allSuites()) failed += suite.errors().length;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === "passed") passed += 1;
        else if (state === "failed") failed += 1;
        else skipped += 1;
      }
    }
    if (reason !== "passed" && failed === 0) failed = 1;
    this.#line = `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
  }
}
