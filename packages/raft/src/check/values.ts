/**
 * Plain data (what JSON can hold) compared by content: histories carry values that two parties built independently, so
 * identity of objects says nothing, and the order of an object's fields must not either.
 */

/** The same text for the same content, and different texts for different contents. */
export function canonicalText(value: unknown): string {
  if (typeof value !== "object" || value === null) return primitiveText(value);
  if (Array.isArray(value)) return `[${value.map(canonicalText).join(",")}]`;
  const fields = Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1));
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${canonicalText(field)}`).join(",")}}`;
}

export function sameContent(left: unknown, right: unknown): boolean {
  if (left === right) return true;
  if (typeof left !== "object" || typeof right !== "object") return Number.isNaN(left) && Number.isNaN(right);
  return canonicalText(left) === canonicalText(right);
}

/** What JSON cannot hold keeps a text of its own instead of becoming null or throwing. */
function primitiveText(value: unknown): string {
  if (typeof value === "number") return String(value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "symbol") return String(value);
  return JSON.stringify(value) ?? "undefined";
}
