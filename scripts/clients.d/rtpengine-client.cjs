// Has the npm package rtpengine-client set up, query and delete a call over UDP, TCP and WebSocket.
// usage: rtpengine-client.cjs HOST UDP-PORT TCP-PORT HTTP-PORT
'use strict';
const assert = require('node:assert');
const {once} = require('node:events');
const {Client, TcpClient, WsClient} = require('rtpengine-client');

const [host, udpPort, tcpPort, httpPort] = process.argv.slice(2);
const patience = 5000;

const description = (address, port) => [
  'v=0', `o=- 1 1 IN IP4 ${address}`, 's=-', `c=IN IP4 ${address}`, 't=0 0', `m=audio ${port} RTP/AVP 0 101`,
  'a=rtpmap:0 PCMU/8000', 'a=rtpmap:101 telephone-event/8000', 'a=fmtp:101 0-16', 'a=sendrecv', ''].join('\r\n');

// ours is the port that a description of the proxy gives.
function ours(reply) {
  assert.equal(reply.result, 'ok', JSON.stringify(reply));
  assert.match(reply.sdp, new RegExp(`^c=IN IP4 ${host.replaceAll('.', '\\.')}\r$`, 'm'));
  const port = Number(/^m=audio (\d+) RTP\/AVP 0 101\r$/m.exec(reply.sdp)?.[1]);
  assert.ok(port >= 30000 && port < 40000 && port % 2 === 0, reply.sdp);
  return port;
}

async function converse(name, say) {
  const call = {'call-id': `${name}@client.example`, 'from-tag': 'caller'};
  assert.equal((await say('ping', {})).result, 'pong');
  const offered = ours(await say('offer', {...call, sdp: description('192.0.2.1', 4000), replace: ['origin'], ICE: 'remove'}));
  const answered = ours(await say('answer', {...call, 'to-tag': 'callee', sdp: description('192.0.2.2', 5000)}));
  assert.notEqual(offered, answered);
  const query = await say('query', {'call-id': call['call-id']});
  assert.deepEqual(Object.keys(query.tags).sort(), ['callee', 'caller']);
  assert.deepEqual((await say('list', {limit: 10})).calls, [call['call-id']]);
  const refused = await say('answer', {...call, 'to-tag': 'callee'});
  assert.equal(refused.result, 'error');
  assert.equal((await say('delete', {...call, 'delete delay': 0})).result, 'ok');
  assert.deepEqual((await say('list', {})).calls, []);
  console.log(`rtpengine-client over ${name}: ping, offer, answer, query, list, an error and delete`);
}

async function main() {
  const udp = new Client({timeout: patience});
  await once(udp, 'listening');
  await converse('UDP', (command, keys) => udp[command](Number(udpPort), host, keys));
  udp.close();

  const tcp = new TcpClient({hostport: `${host}:${tcpPort}`, timeout: patience});
  await once(tcp, 'listening');
  await converse('TCP', (command, keys) => tcp[command](keys));
  tcp.close();

  const ws = new WsClient({url: `ws://${host}:${httpPort}`, timeout: patience});
  await once(ws, 'listening');
  await converse('WebSocket', (command, keys) => ws[command](keys));
  ws.close();
}

main().then(() => process.exit(0), (err) => {
  console.error(err);
  process.exit(1);
});
