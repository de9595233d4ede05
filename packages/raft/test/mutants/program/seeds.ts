/**
 * Runs seeds of a simulator that was compiled somewhere, until one fails: `node seeds.js path/to/dist/sim/index.js 60`.
 * Ends with 1 and `killed after N seeds: …` when one does.
 */
import { pathToFileURL } from "node:url";

interface Simulator {
  readonly World: new (options: { readonly seed: number }) => { run(): void };
}

const [path = "", count = ""] = process.argv.slice(2);
const { World } = (await import(pathToFileURL(path).href)) as Simulator;
for (let seed = 1; seed <= Number(count); seed += 1) {
  try {
    new World({ seed }).run();
  } catch (error) {
    console.log(`killed after ${seed} seeds: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(1);
  }
}
console.log(`${count} seeds passed`);
