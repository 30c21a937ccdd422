// Alice and Bob register, log in on a second device, and sync, all through the SDK.
import assert from "node:assert/strict";
import { step, until } from "../lib/wait.mjs";
import { queryKeys } from "../lib/crypto.mjs";

export const name = "register-login-sync";

export async function run(context) {
    for (const who of ["alice", "bob"]) {
        const username = context.freshName(who);
        const password = `${username} has a long password`;
        const bare = context.bareClient();

        const challenge = await step("register asks for a stage", async () => {
            try {
                await bare.registerRequest({ username, password });
            } catch (error) {
                assert.equal(error.httpStatus, 401, `status of the first register: ${error.message}`);
                return error.data;
            }
            throw new Error("the first register request was not answered with 401");
        });
        assert.equal(typeof challenge.session, "string", "the challenge has a session");
        assert.ok(
            challenge.flows.some(({ stages }) => stages.length === 1 && stages[0] === "m.login.dummy"),
            "m.login.dummy alone is enough",
        );
        const registered = await step(
            "register",
            bare.registerRequest({
                username,
                password,
                auth: { type: "m.login.dummy", session: challenge.session },
            }),
        );
        assert.match(registered.user_id, new RegExp(`^@${username}:`));
        assert.ok(registered.access_token && registered.device_id, "register logs in");

        await context.http.refused(400, "M_USER_IN_USE", "POST", "/register", { username, password });
        const { flows } = await step("login flows", bare.loginFlows());
        assert.ok(flows.some(({ type }) => type === "m.login.password"), "m.login.password is offered");
        await context.http.refused(403, "M_FORBIDDEN", "POST", "/login", {
            type: "m.login.password",
            identifier: { type: "m.id.user", user: username },
            password: "wrong",
        });

        const login = await step(
            "login",
            bare.loginRequest({
                type: "m.login.password",
                identifier: { type: "m.id.user", user: username },
                password,
                initial_device_display_name: "second device",
            }),
        );
        assert.equal(login.user_id, registered.user_id);
        assert.notEqual(login.device_id, registered.device_id, "login makes a new device");
        assert.notEqual(login.access_token, registered.access_token);

        const session = context.session(login, username, password);
        const client = await context.client(session);
        const whoami = await step("whoami", client.whoami());
        assert.equal(whoami.user_id, login.user_id);
        assert.equal(whoami.device_id, login.device_id);

        const { devices } = await step("devices", client.getDevices());
        assert.deepEqual(
            devices.map((device) => device.device_id).sort(),
            [login.device_id, registered.device_id].sort(),
        );
        assert.equal(devices.find((d) => d.device_id === login.device_id).display_name, "second device");

        const keys = await queryKeys(session, login.user_id);
        const own = await client.getCrypto().getOwnDeviceKeys();
        const uploaded = keys.devices[login.device_id];
        assert.equal(uploaded.keys[`ed25519:${login.device_id}`], own.ed25519);
        assert.equal(uploaded.keys[`curve25519:${login.device_id}`], own.curve25519);
        await until("one-time keys are uploaded", client, async () => {
            const answer = await session.http.ok("POST", "/keys/upload", {});
            return answer.one_time_key_counts?.signed_curve25519 >= 50;
        });

        await step("log out", client.logout(true));
        await session.http.refused(401, "M_UNKNOWN_TOKEN", "GET", "/account/whoami");
        await context.http.withToken(registered.access_token).ok("GET", "/account/whoami");
    }
}
