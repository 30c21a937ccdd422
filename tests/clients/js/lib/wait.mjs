// Waiting with deadlines. Nothing here sleeps for a fixed time: a wait ends as soon as its condition holds.
import { inspect } from "node:util";
import { ClientEvent, MatrixEventEvent, RoomEvent, RoomStateEvent } from "matrix-js-sdk";
import { CryptoEvent } from "matrix-js-sdk/lib/crypto-api/index.js";

/** Deadline of one step of a flow, in milliseconds; the runner sets it from --timeout. */
export let stepDeadline = 60_000;
export function setStepDeadline(ms) {
    stepDeadline = ms;
}

/** Events of a client after which a condition may have become true. */
const WAKING = [
    ClientEvent.Sync,
    ClientEvent.Room,
    ClientEvent.AccountData,
    RoomEvent.Timeline,
    RoomEvent.MyMembership,
    RoomStateEvent.Events,
    MatrixEventEvent.Decrypted,
    ...Object.values(CryptoEvent),
];

/** Fails when `promise` is not settled within the deadline; errors name the step. */
export async function step(what, promise, ms = stepDeadline) {
    let timer;
    const deadline = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`no end after ${ms / 1000} s`)), ms);
    });
    try {
        return await Promise.race([typeof promise === "function" ? promise() : promise, deadline]);
    } catch (error) {
        let reason = describe(error);
        // A failed assertion with a text of its own still tells what it compared.
        if (error?.code === "ERR_ASSERTION" && !error.generatedMessage && error.operator !== "fail") {
            reason = reason.replace(/ \+ actual - expected.*| \S+ !== \S+ *$/, "");
            reason += ` (got ${show(error.actual)}, expected ${show(error.expected)})`;
        }
        throw new Error(`${what}: ${reason}`, { cause: error });
    } finally {
        clearTimeout(timer);
    }
}

/**
 * Waits until `check` returns something truthy, and returns that. It is asked again after every event of `clients`
 * (and now and then, for state that changes without an event). `state`, if given, explains a missed deadline.
 */
export function until(what, clients, check, { ms = stepDeadline, state } = {}) {
    clients = [clients].flat();
    let wake = () => {};
    let over = false;
    const onEvent = () => wake();
    for (const client of clients) for (const event of WAKING) client.on(event, onEvent);

    const loop = async () => {
        while (!over) {
            let timer;
            // Armed before the check runs, so that an event during it is not missed.
            const woken = new Promise((resolve) => {
                wake = resolve;
                timer = setTimeout(resolve, 250);
            });
            try {
                const value = await check();
                if (value) return value;
                await woken;
            } finally {
                clearTimeout(timer);
            }
        }
        return undefined;
    };
    return step(what, loop, ms)
        .catch((error) => {
            throw state ? new Error(`${error.message} (${state()})`, { cause: error }) : error;
        })
        .finally(() => {
            over = true;
            for (const client of clients) for (const event of WAKING) client.off(event, onEvent);
        });
}

/** The first `event` of `emitter` that `accept` likes; listening starts at once. */
export function nextEvent(what, emitter, event, accept = () => true, ms = stepDeadline) {
    let listener;
    const found = new Promise((resolve) => {
        listener = (...args) => accept(...args) && resolve(args[0]);
        emitter.on(event, listener);
    });
    const result = step(what, found, ms).finally(() => emitter.off(event, listener));
    // The caller awaits it later; a failure before that must not end the process.
    result.catch(() => {});
    return result;
}

function show(value) {
    return inspect(value, { depth: 2, breakLength: Infinity }).slice(0, 200);
}

/** One line that says what went wrong. */
export function describe(error) {
    return String(error?.message ?? error).replace(/\s*\n\s*/g, " ").slice(0, 600);
}

/** Runs `work` over `items` with at most `width` at a time; results in the order of the items. */
export async function inParallel(items, width, work) {
    const results = new Array(items.length);
    let next = 0;
    await Promise.all(
        Array.from({ length: Math.min(width, items.length) }, async () => {
            while (next < items.length) {
                const index = next++;
                results[index] = await work(items[index], index);
            }
        }),
    );
    return results;
}
