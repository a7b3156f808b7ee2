// read.mjs PACKAGE FILE PLACE...      as read.py; PACKAGE: h5wasm or jsfive
import { readFileSync } from "node:fs";

const [name, path, ...places] = process.argv.slice(2);

const open = {
  async h5wasm() {
    const h5wasm = await import("h5wasm/node");
    await h5wasm.ready;
    return new h5wasm.File(path, "r");
  },
  async jsfive() {
    const jsfive = await import("jsfive");
    return new jsfive.File(new Uint8Array(readFileSync(path)).buffer, path);
  },
};

try {
  const file = await open[name]();
  for (const place of places) {
    const [dataset, index] = place.split(":");
    const { shape, value } = file.get(dataset);  // the numbers of all rows, one behind the other
    console.log(String(value[index.split(",").reduce((at, i, axis) => at * shape[axis] + Number(i), 0)]));
  }
} catch (error) {
  console.error(String(error));
  process.exitCode = error.code === "ERR_MODULE_NOT_FOUND" ? 77 : 1;
}
