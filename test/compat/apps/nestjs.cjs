// Without TypeScript, decorators are called as functions.
require('reflect-metadata');
const { Controller, Get, Injectable, Module, Param, ParseIntPipe } = require('@nestjs/common');
const { NestFactory } = require('@nestjs/core');

class Cats {
  find(id) {
    return { id, name: 'Tom' };
  }
}
Injectable()(Cats);

class CatsController {
  constructor(cats) {
    this.cats = cats;
  }
  find(id) {
    return this.cats.find(id);
  }
}
const { prototype } = CatsController;
Get(':id')(prototype, 'find', Object.getOwnPropertyDescriptor(prototype, 'find'));
Param('id', ParseIntPipe)(prototype, 'find', 0);
Reflect.defineMetadata('design:paramtypes', [Cats], CatsController);
Controller('cats')(CatsController);

class AppModule {}
Module({ controllers: [CatsController], providers: [Cats] })(AppModule);

async function main() {
  const app = await NestFactory.create(AppModule, { logger: ['error'] });
  app.enableShutdownHooks();
  await app.listen(process.env.PORT || 3000);
}
void main();
