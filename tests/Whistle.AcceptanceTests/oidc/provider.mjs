// A real OpenID Connect provider on the loopback. Who logs in, and what is wrong with the tokens, the test says with POST /test;
// how often somebody who had no session here proved who they are, GET /proofs says.
import http from 'node:http';
import { pathToFileURL } from 'node:url';

const { Provider, interactionPolicy } = await import(pathToFileURL(`${process.env.WHISTLE_TEST_OIDC}/node_modules/oidc-provider/lib/index.js`));
let now = { account: 'nobody', name: 'nobody', groups: [], fault: 'none' };
let proofs = 0;

// The port of the server is not known before, which only a native client may have; such a client would ask for consent each time.
const policy = interactionPolicy.base();
policy.get('consent').checks.remove('native_client_prompt');

const server = http.createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{
      client_id: 'whistle',
      client_secret: process.env.CLIENT_SECRET,
      application_type: 'native',
      redirect_uris: ['http://127.0.0.1/login/oidc/done', 'https://whistle.example.com/login/oidc/done'],
      post_logout_redirect_uris: ['http://127.0.0.1/login/oidc/out'],
      response_types: ['code'],
      grant_types: ['authorization_code'],
      token_endpoint_auth_method: 'client_secret_post',
    }],
    claims: { openid: ['sub'], profile: ['preferred_username', 'groups'], email: ['email'] },
    conformIdTokenClaims: false,
    features: { devInteractions: { enabled: false } },
    pkce: { required: () => true },
    cookies: { keys: ['only for tests'] },
    ttl: { IdToken: 600, AccessToken: 600, AuthorizationCode: 60, Grant: 600, Interaction: 600, Session: 600 },
    interactions: { policy, url: (_, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, preferred_username: now.name, email: `${now.name}@example.com`, groups: now.groups }),
    }),
    async loadExistingGrant(ctx) {
      const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
      grant.addOIDCScope('openid profile email');
      await grant.save();
      return grant;
    },
  });
  const callback = provider.callback();
  server.on('request', async (request, response) => {
    if (request.url === '/proofs') {
      response.end(`${proofs}`);
    } else if (request.url === '/test') {
      let body = '';
      for await (const part of request) body += part;
      now = { ...now, ...JSON.parse(body) };
      response.end();
    } else if (request.url.startsWith('/interaction/')) {
      proofs++;
      await provider.interactionFinished(request, response, { login: { accountId: now.account } });
    } else if (request.url === '/token' && now.fault !== 'none') {
      if (now.fault === 'expired') makeEarlier(response);
      else damage(response);
      callback(request, response);
    } else {
      callback(request, response);
    }
  });
  console.log(issuer);
});

// The provider signs the token as if it were two hours ago.
function makeEarlier(response) {
  const real = Date.now;
  Date.now = () => real() - 2 * 3600 * 1000;
  response.on('finish', () => { Date.now = real; });
}

// A token with other claims: under the signature of the real ones, or under none.
function damage(response) {
  const end = response.end.bind(response);
  response.end = (body, ...rest) => {
    const answer = JSON.parse(body);
    const [head, claims, signature] = answer.id_token.split('.');
    const changed = JSON.parse(Buffer.from(claims, 'base64url'));
    changed.groups = ['admins'];
    const encoded = Buffer.from(JSON.stringify(changed)).toString('base64url');
    if (now.fault === 'unsigned')
      answer.id_token = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${encoded}.`;
    else if (now.fault === 'forged')
      answer.id_token = `${head}.${encoded}.${signature}`;
    const text = JSON.stringify(answer);
    response.setHeader('content-length', Buffer.byteLength(text));
    end(text, ...rest);
  };
}
