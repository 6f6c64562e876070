import { createServer } from 'node:http';
import { createSchema, createYoga } from 'graphql-yoga';

const schema = createSchema({
  typeDefs: 'type Query { hello: String }  type Subscription { count(to: Int!): Int }',
  resolvers: {
    Query: { hello: () => 'hello' },
    Subscription: {
      count: {
        async *subscribe(_, { to }) {
          for (let i = 1; i <= to; i++) yield { count: i };
        },
      },
    },
  },
});
createServer(createYoga({ schema, logging: false })).listen(process.env.PORT || 3000);
