// Runs the flows: node run.mjs --url http://127.0.0.1:8008 [--only NAME[,NAME]] [--jobs N] [--timeout SECONDS]
// [--verbose] [--list]. One line per flow, then "N passed, M failed"; exit code 1 when a flow failed.
import { verbose } from "./lib/sdk.mjs";
import process from "node:process";
import { readdir } from "node:fs/promises";
import { parseArgs } from "node:util";
import { Context } from "./lib/context.mjs";
import { describe, inParallel, setStepDeadline, step } from "./lib/wait.mjs";

const { values: options } = parseArgs({
    options: {
        url: { type: "string" },
        only: { type: "string" },
        jobs: { type: "string", default: "4" },
        timeout: { type: "string", default: "60" },
        verbose: { type: "boolean", default: false },
        list: { type: "boolean", default: false },
    },
});

/** A flow that is stuck in many steps ends all the same, in milliseconds. */
const FLOW_DEADLINE = 240_000;

const flows = [];
for (const file of (await readdir(new URL("flows/", import.meta.url))).sort()) {
    if (file.endsWith(".mjs")) flows.push(await import(new URL(`flows/${file}`, import.meta.url)));
}
const wanted = options.only?.split(",");
const selected = flows.filter(({ name }) => !wanted || wanted.some((part) => name.includes(part)));

if (options.list) {
    for (const { name } of selected) console.log(name);
    process.exit(0);
}
if (!options.url || selected.length === 0) {
    console.error(
        options.url
            ? `no flow is called ${options.only}`
            : "usage: node run.mjs --url URL [--only NAME] [--jobs N] [--timeout SECONDS] [--verbose] [--list]",
    );
    process.exit(2);
}
setStepDeadline(Number(options.timeout) * 1000);

// The SDK goes on in the background while a client is being stopped; what fails then fails no flow.
process.on("unhandledRejection", (error) => {
    if (verbose) console.error("in the background:", error);
});
// Its console output goes to stderr with --verbose; stdout belongs to the results.
for (const method of ["debug", "info", "warn", "trace"]) {
    console[method] = verbose ? console.error : () => {};
}

let failed = 0;
// The longest flow goes first, so that it does not end alone.
selected.sort((a, b) => (b.weight ?? 1) - (a.weight ?? 1));
await inParallel(selected, Math.max(1, Number(options.jobs)), async ({ name, run }) => {
    const context = new Context(options.url.replace(/\/+$/, ""));
    const started = performance.now();
    try {
        await step("flow", () => run(context), FLOW_DEADLINE);
        console.log(`ok ${name}`);
    } catch (error) {
        failed += 1;
        console.log(`FAIL ${name}: ${describe(error).replace(/^flow: /, "")}`);
        if (verbose) console.error(error);
    } finally {
        context.close();
        console.error(`   ${name} took ${((performance.now() - started) / 1000).toFixed(1)} s`);
    }
});
console.log(`${selected.length - failed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
