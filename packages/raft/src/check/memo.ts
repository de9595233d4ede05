/**
 * The configurations that a search has been in: which operations are done, and the state they left. Coming back to one by
 * another order cannot lead anywhere new; this is what keeps the search from trying every permutation (Lowe, "Testing for
 * linearizability", 2017).
 *
 * Nor can coming back with the same finished operations done, the same state and more of the open ones: whatever could follow
 * could have followed without these, which were spent for nothing. So an entry also stands for all that spent more than it.
 *
 * Entries are compared in full, since a mistaken match would be a wrong verdict, and are kept small: of the finished operations,
 * in the order of their calls, all up to some point are done and none from some later point on, so only the words of the bit
 * set between the two are stored, one after the other in one array of integers. Of the open ones all words are stored.
 */

/** How many bytes all memos of a check may take together. */
export class MemoryBudget {
  readonly limit: number;
  used = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  fits(more: number): boolean {
    return this.used + more <= this.limit;
  }
}

/** Which operations are done, with what a memo needs to know about it kept up to date. */
export class DoneSet {
  readonly words: Int32Array;
  /** Words of the finished operations; those of the open ones come after. */
  readonly closedWords: number;
  /** All operations of the words before this one are done. */
  low = 0;
  /** The last word in which any finished operation is done, or `low - 1`. */
  high = -1;
  /** Of the finished operations that are done, and of the open ones. */
  closedHash = 0;
  openHash = 0;

  constructor(closed: number, open: number) {
    this.closedWords = (closed + 31) >>> 5;
    this.words = new Int32Array(this.closedWords + ((open + 31) >>> 5));
  }

  /** The place of the first open operation. */
  get firstOpen(): number {
    return this.closedWords << 5;
  }

  has(place: number): boolean {
    return (((this.words[place >>> 5] ?? 0) >>> (place & 31)) & 1) === 1;
  }

  add(place: number): void {
    const word = place >>> 5;
    this.words[word] = (this.words[word] ?? 0) | (1 << (place & 31));
    this.#turn(place, word);
    if (word >= this.closedWords) return;
    if (word > this.high) this.high = word;
    while (this.low < this.closedWords && this.words[this.low] === -1) this.low += 1;
    if (this.high < this.low - 1) this.high = this.low - 1;
  }

  remove(place: number): void {
    const word = place >>> 5;
    this.words[word] = (this.words[word] ?? 0) & ~(1 << (place & 31));
    this.#turn(place, word);
    if (word >= this.closedWords) return;
    if (word < this.low) this.low = word;
    while (this.high >= this.low && this.words[this.high] === 0) this.high -= 1;
  }

  #turn(place: number, word: number): void {
    if (word < this.closedWords) this.closedHash ^= scramble(place);
    else this.openHash ^= scramble(place);
  }
}

/** Slots are pairs of integers: the hash, and where the entry begins, plus one, so that an empty slot is 0. */
const SLOT_INTEGERS = 2;
const NOWHERE = -1;
const FIRST_SLOTS = 64;
/** With so many entries that differ in the open operations alone, one is only compared with these, and with its own like. */
const COMPARED = 64;
const BYTES_PER_INTEGER = 4;
/** Of a state and its name in the table of states, beside the characters of the name. */
const STATE_BYTES = 160;
/** A Map holds no more than this, whatever the memory. */
const MAX_STATES = 2 ** 24 - 1;
/** Places of entries are kept in 32 bits with a sign. */
const MAX_INTEGERS = 2 ** 31 - 1;

export class Memo {
  readonly #done: DoneSet;
  readonly #budget: MemoryBudget;
  /** Of the longest entry. */
  readonly #entryIntegers: number;
  readonly #openWords: number;
  readonly #states = new Map<string | number, number>();
  #entries: Int32Array;
  #used = 0;
  #slots = new Int32Array(FIRST_SLOTS * SLOT_INTEGERS);
  #mask = FIRST_SLOTS - 1;
  #bytes = 0;
  size = 0;

  constructor(done: DoneSet, budget: MemoryBudget) {
    this.#done = done;
    this.#budget = budget;
    this.#entryIntegers = 3 + done.words.length;
    this.#openWords = done.words.length - done.closedWords;
    this.#entries = new Int32Array(this.#entryIntegers * 4);
    this.#charge((this.#entries.length + this.#slots.length) * BYTES_PER_INTEGER);
  }

  /** What this memo takes of the budget. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Makes room for one more entry; false if there is none. */
  prepare(): boolean {
    if (this.#states.size >= MAX_STATES) return false;
    if (this.#used + this.#entryIntegers > this.#entries.length && !this.#growEntries()) return false;
    if (this.size * 2 >= this.#mask && !this.#growSlots()) return false;
    return this.#budget.fits(0);
  }

  /** The number of a state, the same for equal ones: counted from 0 in the order of first appearance. */
  numberOfState(identity: string | number): number {
    const known = this.#states.get(identity);
    if (known !== undefined) return known;
    const number = this.#states.size;
    this.#states.set(identity, number);
    this.#charge(STATE_BYTES + (typeof identity === "string" ? identity.length * 2 : 0));
    return number;
  }

  /** Enters the configuration of the done set and this state; false if it, or one that spent less, was there. After `prepare`. */
  add(state: number): boolean {
    const open = this.#write(state);
    const hash = this.#done.closedHash ^ scramble(~state);
    let compared = 0;
    for (let slot = this.#slotOf(hash); ; slot = (slot + 1) & this.#mask) {
      const start = this.#startAt(slot);
      if (start === NOWHERE) return this.#enter(slot, hash, open);
      if (this.#slots[slot * SLOT_INTEGERS] !== hash || !this.#equals(start, this.#used, open)) continue;
      if (this.#spentLess(start + open)) return false;
      compared += 1;
      if (compared === COMPARED) return this.#addSame(hash ^ scramble(this.#done.openHash), open);
    }
  }

  /** The same for one that finds too many others to be compared with. */
  #addSame(hash: number, open: number): boolean {
    const length = open + this.#openWords;
    for (let slot = this.#slotOf(hash); ; slot = (slot + 1) & this.#mask) {
      const start = this.#startAt(slot);
      if (start === NOWHERE) return this.#enter(slot, hash, open);
      if (this.#slots[slot * SLOT_INTEGERS] === hash && this.#equals(start, this.#used, length)) return false;
    }
  }

  /** Gives everything back. The memo is not used any more. */
  release(): void {
    this.#budget.used -= this.#bytes;
    this.#bytes = 0;
    this.#entries = new Int32Array(0);
    this.#slots = new Int32Array(0);
    this.#states.clear();
  }

  /** Writes the current configuration behind the last entry, where it stays if it is new. Says where its open words begin. */
  #write(state: number): number {
    const { words, low, high, closedWords } = this.#done;
    const entries = this.#entries;
    let at = this.#used;
    entries[at++] = state;
    entries[at++] = low;
    entries[at++] = high;
    for (let word = low; word <= high; word += 1) entries[at++] = words[word] ?? 0;
    const open = at - this.#used;
    for (let word = closedWords; word < words.length; word += 1) entries[at++] = words[word] ?? 0;
    return open;
  }

  #slotOf(hash: number): number {
    return scramble(hash) & this.#mask;
  }

  #startAt(slot: number): number {
    return (this.#slots[slot * SLOT_INTEGERS + 1] ?? 0) - 1;
  }

  #enter(slot: number, hash: number, open: number): true {
    this.#slots[slot * SLOT_INTEGERS] = hash;
    this.#slots[slot * SLOT_INTEGERS + 1] = this.#used + 1;
    this.#used += open + this.#openWords;
    this.size += 1;
    return true;
  }

  /**
   * Whether two entries begin with the same integers. How many finished operations an entry has follows from its first words,
   * so that none is taken for the beginning of another.
   */
  #equals(start: number, other: number, length: number): boolean {
    const entries = this.#entries;
    for (let at = 0; at < length; at += 1) {
      if (entries[start + at] !== entries[other + at]) return false;
    }
    return true;
  }

  /** Whether the open operations there, of an entry that is otherwise the same, are among those done now. */
  #spentLess(start: number): boolean {
    const { words, closedWords } = this.#done;
    for (let word = 0; word < this.#openWords; word += 1) {
      if (((this.#entries[start + word] ?? 0) & ~(words[closedWords + word] ?? 0)) !== 0) return false;
    }
    return true;
  }

  #growEntries(): boolean {
    const integers = Math.max(this.#entries.length * 2, this.#used + this.#entryIntegers);
    if (integers > MAX_INTEGERS || !this.#budget.fits(integers * BYTES_PER_INTEGER)) return false;
    this.#charge((integers - this.#entries.length) * BYTES_PER_INTEGER);
    const entries = new Int32Array(integers);
    entries.set(this.#entries);
    this.#entries = entries;
    return true;
  }

  #growSlots(): boolean {
    const old = this.#slots;
    if (old.length * 2 > MAX_INTEGERS || !this.#budget.fits(old.length * 2 * BYTES_PER_INTEGER)) return false;
    this.#charge(old.length * BYTES_PER_INTEGER);
    this.#slots = new Int32Array(old.length * 2);
    this.#mask = this.#mask * 2 + 1;
    for (let at = 0; at < old.length; at += SLOT_INTEGERS) {
      if (old[at + 1] === 0) continue;
      const hash = old[at] ?? 0;
      let slot = this.#slotOf(hash);
      while (this.#startAt(slot) !== NOWHERE) slot = (slot + 1) & this.#mask;
      this.#slots[slot * SLOT_INTEGERS] = hash;
      this.#slots[slot * SLOT_INTEGERS + 1] = old[at + 1] ?? 0;
    }
    return true;
  }

  #charge(bytes: number): void {
    this.#bytes += bytes;
    this.#budget.used += bytes;
  }
}

/** A 32-bit integer from another, with every bit depending on every bit: multiply and shift, three times. */
function scramble(value: number): number {
  let mixed = (value + 0x9e3779b9) | 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
  return mixed ^ (mixed >>> 15);
}
