/**
 * Where `quorate dev` shows itself: on a terminal a picture drawn again in place, above a line for typing; anywhere else
 * lines, as things change. It also hands on the lines that are typed or piped in.
 */
import { createInterface, type Interface } from "node:readline";
import type { ReadStream, WriteStream } from "node:tty";
import { type RecentLine, recentLine, renderView, tellChanges, type ViewState } from "./dev-view.js";

export interface Screen {
  /** Shows the state, now or a little later. */
  update(state: ViewState): void;
  /** Something was said. On a terminal it is part of the state's `recent`. */
  say(line: RecentLine): void;
  close(): void;
}

export interface ScreenInput {
  readonly line: (line: string) => void;
  /** Ctrl-C, or the end of input on a terminal. */
  readonly quit: () => void;
}

/** At most ten pictures a second; lines that tell only of indexes at most every five seconds. */
const DRAW_EVERY_MS = 100;
const MOVES_EVERY_MS = 5000;
const CURSOR_TO_START_AND_CLEAR_BELOW = "\r\x1b[J";

export function openScreen(input: ScreenInput): Screen {
  return process.stdout.isTTY && process.stdin.isTTY
    ? new TerminalScreen(process.stdin, process.stdout, input)
    : new LineScreen(process.stdin, process.stdout, input);
}

export class TerminalScreen implements Screen {
  readonly #output: WriteStream;
  readonly #readline: Interface;
  #drawnLines = 0;
  #state: ViewState | null = null;
  #timer: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(stdin: ReadStream, output: WriteStream, input: ScreenInput) {
    this.#output = output;
    this.#readline = createInterface({ input: stdin, output, prompt: "> ", terminal: true });
    this.#readline.on("line", (line) => {
      // Enter moved the cursor below the line that was typed; the next picture begins that much further up.
      this.#drawnLines += 1;
      input.line(line);
      this.#draw();
    });
    this.#readline.on("SIGINT", input.quit);
    this.#readline.on("close", () => {
      if (!this.#closed) input.quit();
    });
    output.on("resize", this.#redrawAfterResize);
  }

  update(state: ViewState): void {
    this.#state = state;
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#draw();
    }, DRAW_EVERY_MS);
  }

  say(): void {}

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#draw();
    this.#closed = true;
    this.#output.off("resize", this.#redrawAfterResize);
    this.#readline.close();
    this.#output.write("\n");
  }

  readonly #redrawAfterResize = (): void => {
    // The terminal has wrapped the old picture anew: how far up it begins is not known any more.
    this.#drawnLines = 0;
    this.#output.write("\x1b[2J\x1b[H");
    this.#draw();
  };

  #draw(): void {
    if (this.#state === null || this.#closed) return;
    const columns = Math.max(20, this.#output.columns);
    // A picture higher than the terminal could not be drawn over: what was said first goes first.
    const lines = renderView(this.#state, columns - 1).slice(0, Math.max(1, this.#output.rows - 2));
    const up = this.#drawnLines > 0 ? `\x1b[${this.#drawnLines}A` : "";
    this.#output.write(`${up}${CURSOR_TO_START_AND_CLEAR_BELOW}${lines.join("\n")}\n`);
    this.#drawnLines = lines.length;
    // Shows the prompt and what was typed so far, with the cursor where it was.
    this.#readline.prompt(true);
  }
}

export class LineScreen implements Screen {
  readonly #output: NodeJS.WritableStream;
  readonly #readline: Interface;
  #known: ViewState | null = null;
  #state: ViewState | null = null;
  #timer: NodeJS.Timeout | null = null;
  #movesShownAt = 0;

  constructor(stdin: NodeJS.ReadableStream, output: NodeJS.WritableStream, input: ScreenInput) {
    this.#output = output;
    // The end of input is not an order: without a terminal there may never have been any.
    this.#readline = createInterface({ input: stdin, terminal: false });
    this.#readline.on("line", input.line);
  }

  update(state: ViewState): void {
    this.#state = state;
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#flush();
    }, DRAW_EVERY_MS);
  }

  /** What a node says in passing would bury what matters; a terminal has room for it. */
  say(line: RecentLine): void {
    if (line.source === "command" || line.level !== "info") this.#write(recentLine(line));
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#flush();
    this.#readline.close();
  }

  #flush(): void {
    if (this.#state === null) return;
    const now = performance.now();
    const moves = now - this.#movesShownAt >= MOVES_EVERY_MS;
    const { lines, known } = tellChanges(this.#known, this.#state, moves);
    for (const line of lines) this.#write(line);
    this.#known = known;
    if (moves) this.#movesShownAt = now;
  }

  #write(line: string): void {
    this.#output.write(`${line}\n`);
  }
}
