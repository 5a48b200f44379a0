// Types of the console, on top of those of the API, which `npx openapi-typescript` makes of /openapi.json.
declare module 'types' {
  import type { components, paths } from 'openapi';

  export type Schemas = components['schemas'];

  type Method = 'get' | 'put' | 'post' | 'patch' | 'delete';
  type Operations = { [P in keyof paths & string]: { [M in Method]: paths[P][M] extends { responses: unknown } ? `${Uppercase<M>} ${P}` : never }[Method] }[keyof paths & string];
  type Found<O> = O extends `${infer M} ${infer P}` ? P extends keyof paths ? Lowercase<M> extends Method ? paths[P][Lowercase<M>] : never : never : never;
  type Json<R> = R extends { content: { 'application/json': infer J } } ? J : string;
  type Answer<T> = T extends { responses: infer R } ? R extends { 200: infer A } ? Json<A> : R extends { 201: infer A } ? Json<A> : unknown : never;
  type Path<T> = T extends { parameters: { path: infer P } } ? { path: P } : unknown;
  type Query<T> = T extends { parameters: { query?: infer Q } } ? { query?: Q } : unknown;
  type Body<T> = T extends { requestBody: { content: { 'application/json': infer B } } } ? { body: B } | { form: FormData } : T extends { requestBody?: { content: { 'application/json': infer B } } } ? { body?: B } : unknown;
  type Arguments<T> = Path<T> & Query<T> & Body<T> & { isRead?: boolean };
  type Given<T> = {} extends Arguments<T> ? [args?: Arguments<T>] : [args: Arguments<T>];

  export type Call = <O extends Operations>(operation: O, ...args: Given<Found<O>>) => Promise<Answer<Found<O>>>;

  export type Notice = { said: string; at: number; isError?: boolean; isEnglish?: boolean; hint?: string | null; text?: string; action?: { label: string; run: () => void } };
  export type Photo = { name: string; file: File; base64: string; url: string };
  export type CustomerPage = {
    id: string; view: Schemas['CustomerView'] | null; problem: string | null;
    rules?: Schemas['RuleSpec'][]; quota?: Schemas['QuotaOfDay']; state?: string; clock?: Schemas['ClockView']; draws?: Schemas['RulePreview'][];
  };
  export type Trial = { id: number; at: string; body: Schemas['CallRequest']; answer: Schemas['CallAnswer'] };

  export type State = {
    route: { page: string; id: string | null; part?: string };
    language: 'en' | 'id'; theme: string; keys: boolean;
    connection: 'connecting' | 'live' | 'sampling' | 'lost' | 'token'; waitingForToken: boolean;
    entries: Schemas['Entry'][]; dropped: number; hasOlder: boolean; frozen: Schemas['Entry'][] | null; shown: Schemas['Entry'] | null; missing: number | null;
    filter: string; onlyProblems: boolean; onlyCustomer: string | null | undefined;
    clock: (Schemas['ClockView'] & { read: number }) | null; config: Schemas['ConfigView'] | null; version: Schemas['Version'] | null; problems: string[];
    customers: Schemas['CustomerLine'][] | null; customer: CustomerPage | null; gallery: Schemas['Gallery'] | null; galleryFilter: string; photo: Photo | null;
    next: { times: string; ttl: string };
    trial: Record<'customer_id' | 'methode' | 'user_id' | 'password' | 'threshold' | 'ip' | 'transaction_id' | 'nik' | 'timeout', string>;
    trialPhoto: Photo | null; trials: Trial[]; trialShown: number | null; isSending: boolean;
    rule: Record<string, any>; ruleName: string; schemas: Record<string, any> | null; fileFormat: string; tab: string;
    calls: { id: number; curl: string; status: number }[]; notice: Notice | null; announcement: string;
  };
}
