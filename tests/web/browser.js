// What the tests do to the browser behind the library's back.

const done = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** Opens a database as another tab would, deaf to version changes if asked. */
export async function connect(name, version, deaf) {
  const database = await done(indexedDB.open(name, version || undefined));
  if (!deaf) database.onversionchange = () => database.close();
  return database;
}

/** Deletes a database, as a browser does under pressure. Resolves when it is gone. */
export async function remove(name) {
  await done(indexedDB.deleteDatabase(name));
}

/** The names of all databases. */
export async function databases() {
  return (await indexedDB.databases()).map(({ name }) => name);
}

/** Every key and value of a database: bytes as such, all else as text. */
export async function dump(name) {
  const database = await done(indexedDB.open(name));
  const bytes = [];
  for (const store of database.objectStoreNames) {
    const open = database.transaction(store).objectStore(store);
    const [keys, values] = await Promise.all([done(open.getAllKeys()), done(open.getAll())]);
    for (const item of [...keys, ...values]) {
      const binary = item instanceof ArrayBuffer || ArrayBuffer.isView(item);
      bytes.push(binary ? new Uint8Array(item.buffer ?? item) : new TextEncoder().encode(JSON.stringify(item)));
    }
  }
  database.close();
  return bytes;
}

/** Puts a value into an object store past the library, or deletes the key if there is none. */
export async function overwrite(name, store, key, value) {
  const database = await done(indexedDB.open(name));
  const open = database.transaction(store, 'readwrite').objectStore(store);
  await done(value === undefined ? open.delete(key) : open.put(value, key));
  database.close();
}

/** The keys of an object store. */
export async function keys(name, store) {
  const database = await done(indexedDB.open(name));
  const result = await done(database.transaction(store).objectStore(store).getAllKeys());
  database.close();
  return result;
}

/** The value at a key of an object store. */
export async function stored(name, store, key) {
  const database = await done(indexedDB.open(name));
  const result = await done(database.transaction(store).objectStore(store).get(key));
  database.close();
  return result;
}

/** Replaces a method until the returned function is called. */
function patch(owner, method, replacement) {
  const original = owner.prototype[method];
  owner.prototype[method] = function (...args) {
    return replacement.call(this, original, ...args);
  };
  return () => {
    owner.prototype[method] = original;
  };
}

/** The next opens throw these errors, one each. */
export function failOpens(names) {
  const left = [...names];
  return patch(IDBFactory, 'open', function (original, ...args) {
    const name = left.shift();
    if (name) throw new DOMException('', name);
    return original.apply(this, args);
  });
}

/** Puts throw an error once so many of them were let through. */
export function failPuts(after, name) {
  let left = after;
  return patch(IDBObjectStore, 'put', function (original, ...args) {
    if (left-- <= 0) throw new DOMException('', name);
    return original.apply(this, args);
  });
}

/** Transactions that put something are aborted by the browser, which gives this as the reason. */
export function failCommits(name) {
  return patch(IDBObjectStore, 'put', function (original, ...args) {
    const request = original.apply(this, args);
    const { transaction } = this;
    Object.defineProperty(transaction, 'error', { configurable: true, get: () => new DOMException('', name) });
    setTimeout(() => transaction.abort());
    return request;
  });
}

/** The connection that is used next is dead from then on; other connections work. */
export function killNextConnection(name) {
  let dead;
  return patch(IDBDatabase, 'transaction', function (original, ...args) {
    dead ??= this;
    if (dead === this) throw new DOMException('', name);
    return original.apply(this, args);
  });
}

/** Every connection is dead. */
export function killAllConnections(name) {
  return patch(IDBDatabase, 'transaction', () => {
    throw new DOMException('', name);
  });
}

/** Counts calls that delete a database; the returned function ends that and gives the number. */
export function countDeletes() {
  let count = 0;
  const restore = patch(IDBFactory, 'deleteDatabase', function (original, ...args) {
    count += 1;
    return original.apply(this, args);
  });
  return () => {
    restore();
    return count;
  };
}

/** What every transaction was asked to be like; the returned function ends that and gives the list. */
export function recordDurability() {
  const asked = [];
  const restore = patch(IDBDatabase, 'transaction', function (original, ...args) {
    if (args[1] === 'readwrite') asked.push(args[2]?.durability ?? 'none');
    return original.apply(this, args);
  });
  return () => {
    restore();
    return asked;
  };
}

/** Hides a property of a global object; the returned function brings it back. */
export function hide(owner, property) {
  const target = globalThis[owner];
  const own = Object.getOwnPropertyDescriptor(target, property);
  Object.defineProperty(target, property, { configurable: true, value: undefined });
  return () => {
    delete target[property];
    if (own) Object.defineProperty(target, property, own);
  };
}

/** Turns a database into one of version 1 with rows in its object store, as a release of long ago left it. */
export async function fixture(name, store, rows) {
  const request = indexedDB.open(name);
  const database = await done(request);
  const open = database.transaction(store, 'readwrite').objectStore(store);
  for (let row = 0; row < rows; row += 1) open.put(new Uint8Array([row >> 8, row & 255]), new Uint8Array([row >> 8, row & 255]));
  await new Promise((resolve, reject) => {
    open.transaction.oncomplete = resolve;
    open.transaction.onabort = () => reject(open.transaction.error);
  });
  database.close();
}

/** Holds a Web Lock, as a frozen tab does, until the returned function is called. */
export function holdLock(name) {
  let release;
  let granted;
  const held = new Promise((resolve) => {
    granted = resolve;
  });
  navigator.locks
    .request(name, () => {
      granted();
      return new Promise((resolve) => {
        release = resolve;
      });
    })
    .catch(() => {});
  return held.then(() => () => release());
}

/** Takes a Web Lock from whoever holds it, and lets it go. */
export async function stealLock(name) {
  await navigator.locks.request(name, { steal: true }, () => {});
}
