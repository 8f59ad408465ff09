// What an app may write, and what the compiler has to refuse. Never run: it only has to compile, each line under
// an `@ts-expect-error` being one that would not.
import {
  Client,
  ConsentState,
  Dm,
  Group,
  IdentifierKind,
  LocalWallet,
  NetworkError,
  SottoError,
  SortDirection,
  encodeText,
  init,
} from 'sotto';
import type { ClientOptions, DecodedMessage, GroupUpdated, Identifier, Signer, SottoErrorCode, Stream } from 'sotto';

const identifier: Identifier = { identifier: '0x0', identifierKind: IdentifierKind.Ethereum };

export async function signers(): Promise<Client> {
  const eoa: Signer = { type: 'EOA', getIdentifier: () => identifier, signMessage: async () => new Uint8Array(65) };
  const contract: Signer = { ...eoa, type: 'SCW', getChainId: () => 8453n };
  const options: ClientOptions = { apiUrl: 'https://node.example', storage: 'memory', durability: 'strict' };
  await Client.create(contract, { apiUrls: ['https://a.example', 'https://b.example'] });
  // @ts-expect-error a contract wallet has a chain
  const chainless: Signer = { ...eoa, type: 'SCW' };
  // @ts-expect-error signatures are bytes
  const hex: Signer = { ...eoa, signMessage: () => '0x00' };
  // @ts-expect-error no such storage
  const elsewhere: ClientOptions = { storage: 'localstorage' };
  // @ts-expect-error clients are made by create and build
  new Client();
  await init(new URL('https://cdn.example/sotto_bg.wasm'));
  return Client.create((await LocalWallet.generate()).signer(), options);
}

export async function conversations(client: Client): Promise<void> {
  const group: Group = await client.conversations.createGroupWithIdentifiers([identifier], { groupName: 'Sunday hike' });
  const id: string = await group.sendText('Nine o’clock?');
  await group.addMembers(['ab']);
  await group.updateName('Monday', { expected: group.name });
  const since: bigint | undefined = (await group.lastMessage())?.sentAtNs;
  const messages: DecodedMessage[] = await group.messages({ limit: 50n, direction: SortDirection.Descending });
  const [first] = await client.conversations.list({ consentStates: [ConsentState.Allowed] });
  if (first instanceof Dm) await first.peerInboxId();
  // @ts-expect-error a DM has no name
  (first as Dm).name;
  // @ts-expect-error what is found may be missing
  (await client.conversations.getConversationById(id)).id;
  // @ts-expect-error a name is read, and changed by updateName
  group.name = 'Monday';
  // @ts-expect-error text is a string
  await group.sendText(17);
  await group.send(await encodeText('as bytes'), { shouldPush: false });
  // @ts-expect-error nanoseconds are bigint
  await group.messages({ sentAfterNs: 17 });
  // @ts-expect-error an inbox id may be missing before registration
  const inbox: string = client.inboxId;
}

export async function content(message: DecodedMessage<string | GroupUpdated>): Promise<string> {
  // @ts-expect-error it has to be looked at first
  message.content.length;
  if (typeof message.content === 'string') return message.content;
  return message.content?.addedInboxes[0]?.inboxId ?? message.fallback ?? '';
}

export async function streams(client: Client): Promise<void> {
  const stream: Stream<DecodedMessage> = await client.conversations.streamAllMessages({ onError: (error) => error.message });
  for await (const message of stream) if (message.senderInboxId === client.inboxId) await stream.end({ drain: true });
  const stop = client.onState((state) => {
    if (state === 'offline') stop();
    // @ts-expect-error no such state
    if (state === 'online') stop();
  });
}

export function errors(error: unknown): SottoErrorCode | undefined {
  if (error instanceof NetworkError && error.retryable) return undefined;
  if (!(error instanceof SottoError)) return undefined;
  // @ts-expect-error no such code
  if (error.code === 'ERR_SOMETHING') return undefined;
  return error.code;
}
