import { ApolloServer } from '@apollo/server';
import { startStandaloneServer } from '@apollo/server/standalone';

const server = new ApolloServer({
  typeDefs: 'type Query { hello(name: String!): String }  type Mutation { double(n: Int!): Int }',
  resolvers: {
    Query: { hello: (_, { name }) => `hello ${name}` },
    Mutation: { double: (_, { n }) => n * 2 },
  },
});
await startStandaloneServer(server, { listen: { port: Number(process.env.PORT || 3000) } });
