// Makes Node 20 enough for matrix-js-sdk, and keeps the SDK quiet. Imported before anything else.
import process from "node:process";

Promise.withResolvers ??= function withResolvers() {
    let resolve, reject;
    const promise = new this((res, rej) => {
        resolve = res;
        reject = rej;
    });
    return { promise, resolve, reject };
};

/** True when the SDK's own log is wanted (on stderr). */
export const verbose = process.argv.includes("--verbose");

const write = (level, prefix) =>
    verbose ? (...message) => console.error(level, prefix, ...message) : () => {};

/** A logger for one client: silent, or on stderr with the name of the client. */
export function sdkLogger(prefix) {
    return {
        trace: () => {},
        debug: write("debug", prefix),
        info: write("info", prefix),
        warn: write("warn", prefix),
        error: write("error", prefix),
        log: write("debug", prefix),
        getChild: (name) => sdkLogger(`${prefix} ${name}`),
    };
}

const { logger } = await import("matrix-js-sdk/lib/logger.js");
logger.setLevel?.(verbose ? "debug" : "silent");
