import { createServer } from 'node:http';
import sharp from 'sharp';

createServer(async (_req, res) => {
  const image = sharp({ create: { width: 300, height: 200, channels: 3, background: 'red' } });
  res.setHeader('content-type', 'image/png');
  res.end(await image.resize(30).png().toBuffer());
}).listen(process.env.PORT || 3000);
