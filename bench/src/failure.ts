/** Something that the reader can put right; shown as one sentence, without a stack. */
export class BenchFailure extends Error {
  override readonly name = "BenchFailure";
}
