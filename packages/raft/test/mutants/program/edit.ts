/** The edit of a mutant, as text. */
import type { Mutant } from "./mutant.js";

/** The source with the bug in it. Throws when the edit does not apply: the text must be there exactly once. */
export function edited(mutant: Mutant, source: string): string {
  const at = source.indexOf(mutant.find);
  if (at === -1) throw new Error(`${mutant.id}: its text is not in ${mutant.file} (any more): look for what became of it`);
  if (source.includes(mutant.find, at + 1)) throw new Error(`${mutant.id}: its text is in ${mutant.file} more than once`);
  const result = source.slice(0, at) + mutant.replace + source.slice(at + mutant.find.length);
  if (result === source) throw new Error(`${mutant.id}: it changes nothing`);
  return result;
}
