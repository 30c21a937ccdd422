// What every flow gets: fresh users, and real clients that are stopped when the flow ends.
import { randomBytes } from "node:crypto";
import { ClientEvent, createClient } from "matrix-js-sdk";
import { Http } from "./http.mjs";
import { sdkLogger } from "./sdk.mjs";
import { step, until } from "./wait.mjs";

export class Context {
    constructor(baseUrl) {
        this.baseUrl = baseUrl;
        this.http = new Http(baseUrl);
        this.clients = [];
    }

    /** A user name nobody has yet. */
    freshName(name) {
        return `${name}-${randomBytes(5).toString("hex")}`;
    }

    /** Registers a new user with m.login.dummy; the session of its first device. */
    async register(name) {
        const username = this.freshName(name);
        const password = randomBytes(12).toString("base64url");
        const request = { username, password, initial_device_display_name: `${name}'s first device` };
        const challenge = await this.http.refused(401, undefined, "POST", "/register", request);
        if (!challenge.session) throw new Error("the 401 of register has no session");
        const auth = { type: "m.login.dummy", session: challenge.session };
        const answer = await this.http.ok("POST", "/register", { ...request, auth });
        return this.session(answer, username, password);
    }

    /** A further device of a registered user. */
    async login(session, displayName = "another device") {
        const answer = await this.http.ok("POST", "/login", {
            type: "m.login.password",
            identifier: { type: "m.id.user", user: session.username },
            password: session.password,
            initial_device_display_name: displayName,
        });
        return this.session(answer, session.username, session.password);
    }

    session(answer, username, password) {
        return {
            username,
            password,
            userId: answer.user_id,
            deviceId: answer.device_id,
            accessToken: answer.access_token,
            http: this.http.withToken(answer.access_token),
        };
    }

    /** A client on the SDK without crypto or sync, as it is before login. */
    bareClient(options = {}) {
        return createClient({ baseUrl: this.baseUrl, logger: sdkLogger("bare"), ...options });
    }

    /**
     * A running client with crypto after its first sync. `recoveryKey` (bytes) opens any secret storage.
     * The client has extra members: `session`, and `network` (see Network).
     */
    async client(session, { recoveryKey, initialSyncLimit = 30 } = {}) {
        const storageKeys = new Map();
        const network = new Network();
        const client = createClient({
            baseUrl: this.baseUrl,
            userId: session.userId,
            deviceId: session.deviceId,
            accessToken: session.accessToken,
            fetchFn: network.fetch,
            timelineSupport: true,
            verificationMethods: ["m.sas.v1"],
            logger: sdkLogger(`${session.userId}/${session.deviceId}`),
            cryptoCallbacks: {
                getSecretStorageKey: async ({ keys }) => {
                    for (const id of Object.keys(keys)) {
                        const key = storageKeys.get(id) ?? recoveryKey;
                        if (key) return [id, key];
                    }
                    return null;
                },
                cacheSecretStorageKey: (id, _info, key) => storageKeys.set(id, key),
            },
        });
        client.session = session;
        client.network = network;
        // Verification adds listeners for every request under way; none of that is a leak here.
        client.setMaxListeners(100);
        this.clients.push(client);
        await step(`crypto of ${session.userId} starts`, client.initRustCrypto({ useIndexedDB: false }));
        const prepared = until(`first sync of ${session.userId}`, client, () => client.isInitialSyncComplete(), {
            state: () => `sync state ${client.getSyncState()} ${client.getSyncStateData()?.error ?? ""}`,
        });
        await Promise.all([
            prepared,
            client.startClient({ initialSyncLimit, lazyLoadMembers: true, pollTimeout: 20_000 }),
        ]);
        // Others can only encrypt to this device when its keys are on the server.
        await until(`device keys of ${session.userId} are uploaded`, client, async () => {
            const answer = await session.http.ok("POST", "/keys/query", { device_keys: { [session.userId]: [] } });
            return answer.device_keys?.[session.userId]?.[session.deviceId];
        });
        return client;
    }

    /** Registers a user and starts its client. */
    async newUser(name, options) {
        return this.client(await this.register(name), options);
    }

    /** Stops a client before the end of the flow. */
    stop(client) {
        this.clients = this.clients.filter((other) => other !== client);
        client.removeAllListeners(ClientEvent.Sync);
        client.stopClient();
    }

    close() {
        for (const client of [...this.clients]) this.stop(client);
    }
}

/** The network of one client, which can be cut: requests under way break off, new ones fail. */
class Network {
    #cut = new AbortController();
    #up = true;

    fetch = async (resource, options = {}) => {
        if (!this.#up) throw new TypeError("fetch failed: no network");
        const cut = this.#cut.signal;
        const signal = options.signal ? AbortSignal.any([options.signal, cut]) : cut;
        try {
            return await fetch(resource, { ...options, signal });
        } catch (error) {
            throw cut.aborted ? new TypeError("fetch failed: the network went away") : error;
        }
    };

    down() {
        this.#up = false;
        this.#cut.abort();
    }

    up() {
        this.#up = true;
        this.#cut = new AbortController();
    }
}
