/**
 * A seeded bug: one small edit of the real source that breaks one written rule. Whatever guards that rule, a golden
 * script, a test or the simulator, must notice it; a mutant that nothing notices shows a rule that nothing guards.
 */

export type Difficulty = "easy" | "medium" | "hard";

export interface Mutant {
  /** Two letters for the part, and a number. Never given to another mutant. */
  readonly id: string;
  /** What the changed code does wrong, in one line. */
  readonly title: string;
  /**
   * The rule that it breaks: a number of the list of rules that implementations get wrong (1.n), a row of the list of bugs
   * that other Raft systems had (a letter and a number), a storage rule (WALn) or a row of its table of faults (fault n), or
   * a design law.
   */
  readonly rule: string;
  /** The file it edits, below packages/raft/src. */
  readonly file: string;
  /** Must stand in the file exactly once. Text, not lines, so that it survives what moves around it. */
  readonly find: string;
  readonly replace: string;
  /**
   * easy: wrong in an ordinary run, or with one message. medium: it takes one fault, or one order of messages.
   * hard: it takes several that seldom meet.
   */
  readonly difficulty: Difficulty;
  /** What is lost: a promise; progress; a bound on memory, disk or work. */
  readonly kind: "safety" | "liveness" | "resource";
  /** Written from the rule and the source, before any test was looked at: it can't be cut to what the tests happen to see. */
  readonly fromRuleAlone: boolean;
  /** Why nothing kills it, for one that is known to survive; printed beside it. Not an excuse: easy and medium safety mutants must die. */
  readonly survives?: string;
}
