// To-device messages survive a client that stops between two syncs, and come once only.
import assert from "node:assert/strict";
import { e } from "../lib/http.mjs";

export const name = "to-device-restart";

const TYPE = "org.example.numbered";
const MESSAGES = 120;

export async function run(context) {
    const [alice, bob] = [await context.register("alice"), await context.register("bob")];
    const send = (n, txn = `txn-${n}`) =>
        alice.http.ok("PUT", `/sendToDevice/${e(TYPE)}/${e(txn)}`, {
            messages: { [bob.userId]: { [bob.deviceId]: { n } } },
        });
    const numbers = (answer) =>
        (answer.to_device?.events ?? [])
            .filter((event) => event.type === TYPE)
            .map((event) => {
                assert.equal(event.sender, alice.userId);
                return event.content.n;
            });

    const start = (await bob.http.sync()).next_batch;
    for (let n = 0; n < MESSAGES; n += 1) await send(n);
    // A repeated transaction is not a new message.
    await send(0, "txn-0");

    // Bob's client gets a first answer and dies before it has stored anything; it asks again with the old token.
    const lost = numbers(await bob.http.sync(start, 1));
    assert.ok(lost.length > 0, "messages come at once");
    const again = await bob.http.sync(start);
    assert.deepEqual(numbers(again).slice(0, lost.length), lost, "the same token brings the same messages");

    const seen = numbers(again);
    let token = again.next_batch;
    while (seen.length < MESSAGES) {
        const answer = await bob.http.sync(token);
        const more = numbers(answer);
        assert.ok(more.length > 0, `only ${seen.length} of ${MESSAGES} messages came`);
        seen.push(...more);
        token = answer.next_batch;
    }
    assert.deepEqual(seen, Array.from({ length: MESSAGES }, (_, n) => n), "each message once, in order");

    // Acknowledged by the next token, so gone. This also holds for a client that starts from nothing.
    assert.deepEqual(numbers(await bob.http.sync(token)), []);
    // (Another timeout than above: a server may answer a request that is the same from a cache.)
    assert.deepEqual(numbers(await bob.http.sync(undefined, 1)), [], "an initial sync brings no acknowledged message");

    // A waiting sync is woken, and dies too: the message is not lost either.
    const waiting = bob.http.sync(token, 30_000);
    await send(MESSAGES);
    assert.deepEqual(numbers(await waiting), [MESSAGES], "a waiting sync is woken");
    const last = await bob.http.sync(token, 1);
    assert.deepEqual(numbers(last), [MESSAGES], "and the message comes again");

    // To all devices of a user, with "*".
    const phone = await context.login(bob);
    await alice.http.ok("PUT", `/sendToDevice/${e(TYPE)}/to-all`, { messages: { [bob.userId]: { "*": { n: -1 } } } });
    assert.deepEqual(numbers(await bob.http.sync(last.next_batch)), [-1]);
    assert.deepEqual(numbers(await phone.http.sync()), [-1]);
}
